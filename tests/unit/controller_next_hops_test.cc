// SPDX-License-Identifier: Apache-2.0
// The controller and next hops: found, lost, changed, looked up again.
#include <fmt/format.h>
#include <poll.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "tests/unit/control_testing.h"
#include "tests/unit/controller_testing.h"
#include "userspace/control/controller.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

TEST_CASE("A next hop that changes is written without being asked") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  NextHop moved = bench.controller->snapshot()->next_hops.at(kReal).next_hop.value();
  moved.gateway_mac = *MacAddress::Parse("02:00:00:00:00:77");
  bench.next_hops.Set(kReal, {.next_hop = moved, .problem = ""});
  CHECK(Eventually([&] {
    const Plan plan = bench.dataplane.Read().value();
    const auto holds = [&](const VipKey& key) {
      for (const auto& [index, real] : plan.vips.at(key).reals) {
        if (real.address == kReal) return real.outer && real.outer->next_hop.gateway_mac == moved.gateway_mac;
      }
      return false;
    };
    return holds(kVip) && holds(kOther);
  }));
  CHECK(Eventually([&] { return bench.controller->snapshot()->next_hops.at(kReal).next_hop == moved; }));
  bench.CheckConsistent();
}

TEST_CASE("A next hop that cannot be written is tried again") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.dataplane.FailWrites(1, 4);
  bench.next_hops.Set(kReal, {.next_hop = std::nullopt, .problem = "gone"});
  CHECK(Eventually([&] { return bench.controller->snapshot()->next_hops.at(kReal).problem == "gone"; }));
  bench.CheckConsistent();
}

TEST_CASE("A burst of next hop events is answered together") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  NextHop moved = bench.controller->snapshot()->next_hops.at(kReal).next_hop.value();
  const auto start = std::chrono::steady_clock::now();
  const size_t before = bench.next_hops.resolved_times();
  for (uint8_t i = 0; i < 100; ++i) {
    moved.gateway_mac.bytes[5] = i;
    bench.next_hops.Set(kReal, {.next_hop = moved, .problem = ""});
    poll(nullptr, 0, 1);  // the writer may see each event by itself
  }
  CHECK(Eventually([&] { return bench.controller->snapshot()->next_hops.at(kReal).next_hop == moved; }));
  const auto windows = (std::chrono::steady_clock::now() - start) / std::chrono::milliseconds(50);
  CHECK(bench.next_hops.resolved_times() - before <= static_cast<size_t>(windows) + 1);
}

TEST_CASE("Reals without a next hop are named with the reason, ten at most") {
  Bench bench;
  bench.Start();
  DesiredState state = SmallState();
  for (int i = 10; i < 22; ++i) {
    const IpAddress real = Address(fmt::format("10.0.0.{}", i));
    state.vips[kVip].reals[real] = {};
    bench.next_hops.Set(real, {.next_hop = std::nullopt, .problem = "no route to " + real.ToString()});
  }
  const ChangeReport report = bench.Apply(state);
  REQUIRE(report.warnings.size() == 11);
  CHECK_THAT(report.warnings[0], Catch::Contains("10.0.0.10") && Catch::Contains("no route"));
  CHECK(report.warnings[10] == "and 2 more");
  bench.CheckConsistent();
}

TEST_CASE("A real without a next hop is asked for again, event or not, until it has one") {
  Bench bench;
  bench.Start();
  bench.next_hops.Set(kReal, {.next_hop = std::nullopt, .problem = "no route"});
  bench.Apply(Two());
  const size_t before = bench.next_hops.resolved_times();
  CHECK(Eventually([&] { return bench.next_hops.resolved_times() > before + 1; }));
}

TEST_CASE("A change waits a moment for the next hop of a new real") {
  Bench bench;
  bench.Start();
  bench.next_hops.Set(kReal, {.next_hop = std::nullopt, .problem = "being resolved"});
  const std::jthread neighbour([&bench] {
    const bool asked = Eventually([&bench] { return bench.next_hops.followed().contains(kReal); });
    if (!asked) return;
    const NextHop found{
        .interface_index = 1, .local_mac = {}, .gateway_mac = {}, .source = Address("10.0.0.1"), .mtu_bytes = 1500};
    bench.next_hops.Set(kReal, {.next_hop = found, .problem = ""});
  });
  CHECK(bench.Apply(Two()).warnings.empty());
}

TEST_CASE("Next hops that cannot be looked up refuse a change and nothing else") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.next_hops.FailResolve(true);
  const auto report = bench.controller->Apply(Changed(), false);
  REQUIRE_FALSE(report);
  CHECK_THAT(report.error().message, Catch::Contains("was made to fail"));
  bench.CheckConsistent();
  bench.next_hops.FailResolve(false);
  bench.Apply(Changed());
  bench.CheckConsistent();
}

TEST_CASE("After a change that failed the next hops of the reals in force are followed again") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const auto followed = bench.next_hops.followed();
  bench.dataplane.FailWrite(1);
  REQUIRE_FALSE(bench.controller->Apply(Changed(), false));
  CHECK(Eventually([&] { return bench.next_hops.followed() == followed; }));
}

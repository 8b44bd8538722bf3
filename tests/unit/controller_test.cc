// SPDX-License-Identifier: Apache-2.0
// The controller: changes that hold, changes that are refused, and what a restarted one adopts.
#include "userspace/control/controller.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/control_testing.h"
#include "tests/unit/controller_testing.h"
#include "userspace/model/store_file.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

TEST_CASE("A missing store is made with a hash key of its own, readable by nobody else") {
  Bench one;
  one.Start();
  CHECK(one.Stored().hash_key != HashKey{});
  struct stat status{};
  REQUIRE(stat(one.folder.store().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  Bench two;
  two.Start();
  CHECK(one.Stored().hash_key != two.Stored().hash_key);
}

TEST_CASE("A store without a hash key gets one at once and keeps the rest") {
  Bench bench;
  WriteText(bench.folder.store(),
            "vips:\n  - vip: \"203.0.113.10:443/tcp\"\n    ring_size: 13\n    reals: [ { address: \"10.0.0.11\" } ]\n");
  bench.Start();
  CHECK(bench.Stored().hash_key != HashKey{});
  CHECK(bench.Stored().vips.at(kVip).reals.contains(kReal));
  bench.CheckConsistent();
}

TEST_CASE("A bad store is refused with every problem, and the data plane is not touched") {
  Bench bench;
  WriteText(bench.folder.store(),
            "vips:\n  - vip: \"203.0.113.10:443/tcp\"\n    ring_size: 12\n  - vip: \"203.0.113.11\"\n");
  const auto started = Controller::Start(bench.folder.store(), bench.dataplane, bench.next_hops);
  REQUIRE_FALSE(started);
  CHECK(started.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(started.error().message, Catch::Contains("ring_size") && Catch::Contains("203.0.113.11"));
  CHECK(bench.dataplane.writes() == 0);
}

TEST_CASE("An edit reaches the data plane, the store and the readers, and is reported line by line") {
  Bench bench;
  bench.Start();
  const auto before = bench.controller->snapshot();
  const auto report = bench.controller->Edit([](DesiredState& state) {
    state.defaults.ring_size = 13;
    return AddReal(state, kVip, "10.0.0.11");
  });
  REQUIRE(report);
  CHECK(report->changes.size() == 3);
  CHECK(report->warnings.empty());
  CHECK(before->desired.vips.empty());
  CHECK(bench.controller->snapshot()->desired.vips.contains(kVip));
  bench.CheckConsistent();
}

TEST_CASE("An edit that refuses changes nothing and its words come back") {
  Bench bench;
  bench.Start();
  const auto report = bench.controller->Edit([](DesiredState& state) -> Status {
    state.vips[kVip] = {};
    return Fail(ErrorKind::kNotFound, "no such thing");
  });
  REQUIRE_FALSE(report);
  CHECK(report.error().kind == ErrorKind::kNotFound);
  CHECK(report.error().message == "no such thing");
  CHECK(bench.controller->snapshot()->desired.vips.empty());
}

TEST_CASE("Applying what is there writes nothing at all") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  struct stat before{};
  struct stat after{};
  REQUIRE(stat(bench.folder.store().c_str(), &before) == 0);
  bench.dataplane.FailNone();
  DesiredState same = Two();
  same.hash_key = {};  // the one in force
  CHECK(bench.Apply(same).changes.empty());
  CHECK(bench.dataplane.writes() == 0);
  REQUIRE(stat(bench.folder.store().c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  CHECK(bench.Stored().hash_key == Two().hash_key);
}

TEST_CASE("A bad state is refused with all its problems, a line each, and changes nothing") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const std::string store = TextOf(bench.folder.store());
  bench.dataplane.FailNone();
  DesiredState bad = Changed();
  bad.vips[kVip].ring_size = 12;
  bad.vips[kVip].reals[Address("127.0.0.1")] = {};
  const auto report = bench.controller->Apply(bad, false);
  REQUIRE_FALSE(report);
  CHECK(report.error().kind == ErrorKind::kInvalid);
  CHECK(std::ranges::count(report.error().message, '\n') == 1);
  CHECK(bench.dataplane.writes() == 0);
  CHECK(TextOf(bench.folder.store()) == store);
}

TEST_CASE("A dry run reports and finds what does not fit, and touches nothing") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const std::string store = TextOf(bench.folder.store());
  const auto followed = bench.next_hops.followed();
  bench.dataplane.FailNone();
  const auto report = bench.controller->Apply(Changed(), true);
  REQUIRE(report);
  CHECK_FALSE(report->changes.empty());
  CHECK(bench.controller->snapshot()->desired == Two());

  // 64 entries would do, but not while the old ranges are in use.
  DesiredState large = Two();
  for (int i = 1; i <= 29; ++i) {
    for (const VipKey& key : {kVip, kOther})
      large.vips[key].reals[Address(fmt::format("10.0.1.{}", i))] = {.weight = 0};
  }
  const auto too_large = bench.controller->Apply(large, true);
  REQUIRE_FALSE(too_large);
  CHECK(too_large.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(too_large.error().message, Catch::Contains(kOther.ToString()));

  CHECK(bench.dataplane.writes() == 0);
  CHECK(TextOf(bench.folder.store()) == store);
  CHECK(bench.next_hops.followed() == followed);
}

TEST_CASE("Edits from many threads all take effect, one after another") {
  Bench bench;
  bench.Start();
  DesiredState state = Two();
  state.vips[kVip].reals[kReal].weight = 0;
  state.vips[kVip].ring_size = 1009;
  bench.Apply(state);
  std::atomic<int> done = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&bench, &done] {
        for (int i = 0; i < 25; ++i) {
          const auto report = bench.controller->Edit([](DesiredState& wanted) -> Status {
            ++wanted.vips[kVip].reals[kReal].weight;
            return {};
          });
          if (report && report->changes.size() == 1) ++done;
        }
      });
    }
  }
  CHECK(done == 100);
  CHECK(bench.Stored().vips.at(kVip).reals.at(kReal).weight == 100);
  bench.CheckConsistent();
}

TEST_CASE("A restarted controller adopts what is installed and writes nothing but the flows to forget") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.Apply(Changed());
  const Plan plan = bench.controller->snapshot()->plan;
  bench.controller.reset();
  CHECK(Difference(bench.dataplane.Read().value(), plan) == "");
  bench.dataplane.FailNone();
  bench.Start();
  CHECK(bench.dataplane.writes() == 1);
  CHECK(Difference(bench.controller->snapshot()->plan, plan) == "");
}

TEST_CASE("A store that changed while nobody ran is followed at the start, even where every id is taken") {
  Bench bench(Capacities{.max_vips = 1, .max_reals = 4, .max_flows = 4});
  bench.Start();
  DesiredState state = SmallState();
  state.vips[kVip].reals[kReal] = {};
  bench.Apply(state);
  bench.controller.reset();
  state.vips.clear();
  state.vips[kOther].reals[Address("10.0.0.12")] = {};
  WriteText(bench.folder.store(), ToYaml(state));
  bench.Start();
  CHECK(bench.controller->snapshot()->plan.vips.at(kOther).entry.id == 1);
  bench.CheckConsistent();
}

TEST_CASE("A new hash key changes every VIP's flow hash, and none means the one in force") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const FlowHashKey before = bench.controller->snapshot()->plan.vips.at(kVip).entry.flow_hash_key;
  DesiredState state = Two();
  state.hash_key[15] ^= 1;
  CHECK(bench.Apply(state).changes.size() == 1);
  CHECK(bench.controller->snapshot()->plan.vips.at(kVip).entry.flow_hash_key != before);
  bench.CheckConsistent();
}

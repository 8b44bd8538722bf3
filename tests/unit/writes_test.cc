// SPDX-License-Identifier: Apache-2.0
// Writes from plan to plan, executed on a data plane that checks every step.
#include "userspace/control/writes.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "tests/unit/control_testing.h"
#include "userspace/control/planner.h"
#include "userspace/dataplane/packet_model.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

constexpr Capacities kSmall{.max_vips = 16, .max_reals = 512, .max_flows = 64};
const VipKey kVip = Key("203.0.113.10:443/tcp");

Plan PlanOf(const DesiredState& state, const Plan& current = {}, int at_second = 0, const Liveness& liveness = {}) {
  const auto plan = PlanFrom(current, state, kSmall, SteadyTime() + std::chrono::seconds(at_second), liveness);
  INFO((plan ? "" : plan.error().message));
  REQUIRE(plan);
  return *plan;
}

// Plans of one history, each made from the one before.
std::vector<Plan> History(uint32_t seed, int steps) {
  RandomChanges changes(seed);
  DesiredState state = SmallState();
  state.defaults.health.kind = CheckKind::kTcp;
  Liveness liveness;
  std::vector<Plan> plans(1);
  for (int step = 0; step < steps; ++step) {
    const DesiredState before = state;
    for (uint32_t i = 0; i <= changes.UpTo(4); ++i) changes.ChangeOneThing(state);
    changes.FollowHealth(before, state, liveness);
    plans.push_back(PlanOf(state, plans.back(), 2 * step, liveness));
  }
  return plans;
}

void Install(const Plan& plan, Dataplane& dataplane) { REQUIRE(Execute(OrderWrites({}, plan), plan, dataplane)); }

void CheckHolds(WatchedDataplane& dataplane, const Plan& plan) {
  const auto read = dataplane.Read();
  REQUIRE(read);
  REQUIRE(Difference(*read, plan) == "");
  REQUIRE(dataplane.violations() == std::vector<std::string>());
}

std::vector<std::string> NamesOf(const std::vector<Write>& writes) {
  static const char* const kNames[] = {"ResetTraffic", "SetReals",     "SetVips",
                                       "ClearReals",   "CarryTraffic", "ForgetFlows"};
  std::vector<std::string> names;
  for (const Write& write : writes) names.emplace_back(kNames[write.index()]);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("Each plan of a history follows the last one without a moment in which a VIP is not whole") {
  const uint32_t seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u);
  WatchedDataplane dataplane(kSmall);
  const std::vector<Plan> plans = History(seed, 120);
  for (size_t i = 1; i < plans.size(); ++i) {
    CAPTURE(seed, i);
    REQUIRE(Execute(OrderWrites(plans[i - 1], plans[i]), plans[i], dataplane));
    CheckHolds(dataplane, plans[i]);
  }
}

TEST_CASE("Any plan leads to any other, even to one of another history") {
  std::vector<Plan> plans;
  for (const uint32_t seed : {11u, 12u, 13u}) {
    const auto history = History(seed, 40);
    for (const size_t i : {0u, 9u, 10u, 25u, 40u}) plans.push_back(history[i]);
  }
  for (size_t i = 0; i < plans.size(); ++i) {
    for (size_t j = 0; j < plans.size(); ++j) {
      CAPTURE(i, j);
      WatchedDataplane dataplane(kSmall);
      Install(plans[i], dataplane);
      REQUIRE(Execute(OrderWrites(plans[i], plans[j]), plans[j], dataplane));
      CheckHolds(dataplane, plans[j]);
    }
  }
}

TEST_CASE("Wherever the writes stop, the undo leads back to the plan before") {
  const uint32_t seed = GENERATE(21u, 22u, 23u);
  const std::vector<Plan> plans = History(seed, 30);
  for (size_t i = 1; i < plans.size(); ++i) {
    const auto writes = OrderWrites(plans[i - 1], plans[i]);
    for (size_t k = 1; k <= writes.size(); ++k) {
      CAPTURE(seed, i, k);
      WatchedDataplane dataplane(kSmall);
      Install(plans[i - 1], dataplane);
      dataplane.FailWrite(k);
      REQUIRE_FALSE(Execute(writes, plans[i], dataplane));
      REQUIRE(dataplane.writes() == k);
      REQUIRE(Revert(plans[i], plans[i - 1], dataplane));
      CheckHolds(dataplane, plans[i - 1]);
    }
  }
}

TEST_CASE("An undo goes on after an error and tells of it") {
  const Plan one = PlanOf(WithReals(kVip, 1));
  const Plan four = PlanOf(WithReals(kVip, 4), one);
  WatchedDataplane dataplane(kSmall);
  Install(one, dataplane);
  REQUIRE(Execute(OrderWrites(one, four), four, dataplane));
  dataplane.FailWrite(1);
  const Status reverted = Revert(four, one, dataplane);
  REQUIRE_FALSE(reverted);
  CHECK_THAT(reverted.error().message, Catch::Contains("write 1 was made to fail"));
  CHECK(dataplane.writes() > 4);
}

TEST_CASE("Equal plans need no writes, whether or not they share their rings") {
  const DesiredState state = WithReals(kVip, 5);
  const Plan plan = PlanOf(state);
  CHECK(OrderWrites(plan, plan).empty());
  CHECK(OrderWrites(plan, PlanOf(state)).empty());
  CHECK(OrderWrites({}, {}).empty());
}

TEST_CASE("A new VIP comes after its counters and reals") {
  CHECK(NamesOf(OrderWrites({}, PlanOf(WithReals(kVip, 2)))) ==
        Names{"ResetTraffic", "ClearReals", "SetReals", "SetVips"});
}

TEST_CASE("A real that goes down is left by the ring first, and one that comes up is there before the ring") {
  DesiredState state = WithReals(kVip, 3);
  state.defaults.health.kind = CheckKind::kTcp;
  Liveness liveness = {{kVip, {{Address("10.0.0.1"), Health::kUp}}}};
  const Plan up = PlanOf(state, {}, 0, liveness);
  liveness[kVip][Address("10.0.0.1")] = Health::kDown;
  const Plan down = PlanOf(state, up, 1, liveness);
  CHECK(NamesOf(OrderWrites(up, down)) == Names{"SetVips", "SetReals", "ForgetFlows"});
  CHECK(NamesOf(OrderWrites(down, up)) == Names{"SetReals", "SetVips"});
}

TEST_CASE("A VIP that goes is removed before its reals and its flows") {
  CHECK(NamesOf(OrderWrites(PlanOf(WithReals(kVip, 2)), {})) == Names{"SetVips", "ClearReals", "ForgetFlows"});
}

TEST_CASE("A VIP that outgrows its range serves from the new one before the old one goes, and its counts move") {
  const Plan three = PlanOf(WithReals(kVip, 3));
  const auto writes = OrderWrites(three, PlanOf(WithReals(kVip, 4), three));
  CHECK(NamesOf(writes) == Names{"ResetTraffic", "ClearReals", "SetReals", "SetVips", "CarryTraffic", "CarryTraffic",
                                 "CarryTraffic", "ClearReals"});
  const auto& carry = std::get<write::CarryTraffic>(writes[4]);
  CHECK(carry.from == 1);
  CHECK(carry.to == 5);
}

TEST_CASE("A real that drains leaves the ring and nothing else") {
  DesiredState state = WithReals(kVip, 2);
  const Plan before = PlanOf(state);
  state.vips[kVip].reals[Address("10.0.0.1")].state = RealState::kDrain;
  CHECK(NamesOf(OrderWrites(before, PlanOf(state, before))) == Names{"SetVips"});
}

TEST_CASE("A real that goes leaves the ring first, then the real table, then the flow table") {
  DesiredState state = WithReals(kVip, 2);
  const Plan before = PlanOf(state);
  state.vips[kVip].reals.erase(Address("10.0.0.1"));
  CHECK(NamesOf(OrderWrites(before, PlanOf(state, before))) == Names{"SetVips", "ClearReals", "ForgetFlows"});
}

TEST_CASE("Changes of several VIPs take effect with one write") {
  DesiredState state = WithReals(kVip, 2);
  state.vips[Key("203.0.113.11:80/tcp")].reals[Address("10.0.0.1")] = {};
  const Plan before = PlanOf(state);
  state.defaults.ring_size = 17;
  CHECK(NamesOf(OrderWrites(before, PlanOf(state, before))) == Names{"SetVips"});
}

TEST_CASE("With another hash key goes what was remembered by the old one") {
  DesiredState state = WithReals(kVip, 2);
  const Plan before = PlanOf(state);
  state.hash_key[0] ^= 1;
  CHECK(NamesOf(OrderWrites(before, PlanOf(state, before))) == Names{"SetVips", "ForgetFlows"});
}

TEST_CASE("A VIP whose place another one takes is taken down first, with its flows") {
  const Plan one = PlanOf(WithReals(kVip, 2));
  const Plan other = PlanOf(WithReals(Key("203.0.113.11:80/tcp"), 2));
  REQUIRE(one.vips.begin()->second.entry.id == other.vips.begin()->second.entry.id);
  const auto writes = OrderWrites(one, other);
  CHECK(NamesOf(writes) ==
        Names{"SetVips", "ClearReals", "ForgetFlows", "ResetTraffic", "ClearReals", "SetReals", "SetVips"});
  CHECK(std::get<write::SetVips>(writes[0]).between->vips.empty());
  CHECK(std::get<write::ForgetFlows>(writes[2]).between->vips.empty());
  CHECK_FALSE(std::get<write::SetVips>(writes[6]).between);
}

TEST_CASE("An undo leaves the counters as they are") {
  const Plan three = PlanOf(WithReals(kVip, 3));
  const Plan next = GENERATE_COPY(PlanOf(WithReals(kVip, 4), three), Plan());
  const auto writes = OrderWrites(three, next);
  for (size_t k = 1; k <= writes.size(); ++k) {
    CAPTURE(writes.size(), k);
    WatchedDataplane dataplane(kSmall);
    Install(three, dataplane);
    for (uint16_t port = 1000; port < 1050; ++port) {
      const Endpoint client{.address = Address("198.51.100.7"), .port = port};
      const auto frame = FirstFrame(client, {.address = kVip.address, .port = kVip.port}, kVip.protocol);
      REQUIRE(dataplane.RunFrame(frame, 1));
    }
    const std::vector<uint32_t> vips{three.vips.at(kVip).entry.id};
    const std::vector<uint32_t> entries{1, 2, 3};
    const auto vip_traffic = dataplane.ReadVipTraffic(vips).value();
    const auto real_traffic = dataplane.ReadRealTraffic(entries).value();
    REQUIRE(vip_traffic[0].packets == 50);
    dataplane.FailWrite(k);
    REQUIRE_FALSE(Execute(writes, next, dataplane));
    REQUIRE(Revert(next, three, dataplane));
    REQUIRE(dataplane.ReadVipTraffic(vips).value() == vip_traffic);
    REQUIRE(dataplane.ReadRealTraffic(entries).value() == real_traffic);
  }
}

TEST_CASE("What an earlier owner left in a range is cleared before a VIP gets it") {
  MemoryDataplane dataplane(kSmall);
  const Plan plan = PlanOf(WithReals(kVip, 1));
  const std::vector<RealWrite> leftovers{{.entry = 3, .real = {.address = Address("10.0.0.99"), .outer = {}}}};
  REQUIRE(dataplane.SetReals(leftovers));
  REQUIRE(Execute(OrderWrites({}, plan), plan, dataplane));
  CHECK(Difference(dataplane.Read().value(), plan) == "");
}

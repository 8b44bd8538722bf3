// SPDX-License-Identifier: Apache-2.0
// What the activity meter makes of estimates and counters, interval by interval.
#include <catch2/catch.hpp>

#include "tests/unit/control_testing.h"
#include "userspace/control/activity.h"
#include "userspace/control/planner.h"
#include "userspace/control/writes.h"
#include "userspace/dataplane/packet_model.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

const VipKey kVip = Key("203.0.113.10:443/tcp");

SteadyTime At(int second) { return SteadyTime() + std::chrono::seconds(second); }

Plan Install(const DesiredState& state, const Plan& before, Dataplane& dataplane) {
  const auto plan = PlanFrom(before, state, dataplane.capacities(), At(0));
  REQUIRE(plan);
  REQUIRE(Execute(OrderWrites(before, *plan), *plan, dataplane));
  return *plan;
}

void Open(Dataplane& dataplane, uint16_t flows) {
  for (uint16_t port = 1; port <= flows; ++port) {
    REQUIRE(dataplane.RunFrame(FirstFrame({Address("198.51.100.7"), port}, {kVip.address, 443}, kVip.protocol), 1));
  }
}

}  // namespace

TEST_CASE("Flows of a VIP are those of its reals, and rates follow from the time between turns") {
  MemoryDataplane dataplane({.max_vips = 4, .max_reals = 64, .max_flows = 100});
  DesiredState state = WithReals(kVip, 3);
  Plan plan = Install(state, {}, dataplane);
  ActivityMeter meter(dataplane);
  Open(dataplane, 40);
  const VipActivity first = meter.Turn(plan, At(10)).value().at(kVip);
  CHECK(first.vip.flows == 40);
  CHECK(first.vip.new_flows_per_second == 0);
  REQUIRE(first.reals.size() == 3);
  CHECK(first.reals.at(1).flows + first.reals.at(2).flows + first.reals.at(3).flows == 40);

  Open(dataplane, 60);
  // Its counts move with the range, and the rate does not notice.
  state.vips[kVip].reals[Address("10.0.0.9")] = {.weight = 0};
  plan = Install(state, plan, dataplane);
  const VipActivity second = meter.Turn(plan, At(20)).value().at(kVip);
  CHECK(second.vip.new_flows_per_second == 6);
  double sum = 0;
  for (const auto& [index, real] : second.reals) sum += real.new_flows_per_second;
  CHECK(sum == Approx(6));

  CHECK(meter.Turn(plan, At(30)).value().at(kVip).vip.new_flows_per_second == 0);
  CHECK(meter.Turn(plan, At(40)).value().at(kVip).vip.flows == 0);
}

TEST_CASE("A VIP that is new since the last turn is counted from its beginning") {
  MemoryDataplane dataplane({.max_vips = 4, .max_reals = 64, .max_flows = 100});
  ActivityMeter meter(dataplane);
  CHECK(meter.Turn({}, At(10)).value().empty());
  const Plan plan = Install(WithReals(kVip, 2), {}, dataplane);
  Open(dataplane, 50);
  CHECK(meter.Turn(plan, At(20)).value().at(kVip).vip.new_flows_per_second == 5);
}

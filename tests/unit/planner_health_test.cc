// SPDX-License-Identifier: Apache-2.0
// The planner and reals that are down: what stays of them, and what no longer names them.
#include <catch2/catch.hpp>

#include "tests/unit/control_testing.h"
#include "userspace/control/planner.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

constexpr Capacities kSmall{.max_vips = 16, .max_reals = 512, .max_flows = 64};
const VipKey kVip = Key("203.0.113.10:443/tcp");

SteadyTime At(int seconds) { return SteadyTime() + std::chrono::seconds(seconds); }

Plan PlanWith(const Liveness& liveness, const DesiredState& state, const Plan& current, SteadyTime now) {
  return PlanFrom(current, state, kSmall, now, liveness).value();
}

Plan PlanOf(const DesiredState& state, const Plan& current = {}, SteadyTime now = At(0)) {
  return PlanWith({}, state, current, now);
}

std::map<IpAddress, uint16_t> IndicesOf(const PlannedVip& vip) {
  std::map<IpAddress, uint16_t> indices;
  for (const auto& [index, real] : vip.reals) indices.emplace(real.address, index);
  return indices;
}

std::vector<uint16_t> CurrentReals(const PlannedVip& vip) {
  std::vector<uint16_t> reals;
  for (const RingSlot& slot : *vip.ring) reals.push_back(slot.current_real);
  return reals;
}

}  // namespace

TEST_CASE("A real that is down keeps index, entry and outer header, but no slot names it until it serves again") {
  DesiredState state = WithReals(kVip, 4);
  state.defaults.health.kind = CheckKind::kTcp;
  const IpAddress real = Address("10.0.0.2");
  const Plan whole = PlanOf(state);
  const uint16_t index = IndicesOf(whole.vips.at(kVip)).at(real);
  const Plan down = PlanWith({{kVip, {{real, Health::kDown}}}}, state, whole, At(1));
  const PlannedVip& vip = down.vips.at(kVip);
  CHECK(IndicesOf(vip).at(real) == index);
  CHECK_FALSE(vip.reals.at(index).serves);
  CHECK(vip.reals.at(index).outer == whole.vips.at(kVip).reals.at(index).outer);
  // Its flows are lost with it, so its slots begin anew; the others did not change.
  for (size_t slot = 0; slot < vip.ring->size(); ++slot) {
    const RingSlot& before = (*whole.vips.at(kVip).ring)[slot];
    if (before.current_real == index) {
      CHECK((*vip.ring)[slot].current_real != index);
      CHECK((*vip.ring)[slot].previous_real == 0);
    }
    CHECK((*vip.ring)[slot].previous_real != index);
  }
  const Plan again = PlanWith({{kVip, {{real, Health::kUp}}}}, state, down, At(2));
  CHECK(again.vips.at(kVip).reals == whole.vips.at(kVip).reals);
  CHECK(CurrentReals(again.vips.at(kVip)) == CurrentReals(whole.vips.at(kVip)));
}

TEST_CASE("A drained real that goes down is named by no slot, though the ring's members stay") {
  DesiredState state = WithReals(kVip, 3);
  state.defaults.health.kind = CheckKind::kTcp;
  const IpAddress real = Address("10.0.0.1");
  state.vips[kVip].reals[real].state = RealState::kDrain;
  const DesiredState drained = state;
  state.vips[kVip].reals[real].state = RealState::kActive;
  const Plan draining = PlanOf(drained, PlanOf(state), At(1));
  REQUIRE_FALSE(draining.vips.at(kVip).unsettled.empty());
  const Plan down = PlanWith({{kVip, {{real, Health::kDown}}}}, drained, draining, At(2));
  const uint16_t index = IndicesOf(down.vips.at(kVip)).at(real);
  CHECK(down.vips.at(kVip).members == draining.vips.at(kVip).members);
  for (const RingSlot& slot : *down.vips.at(kVip).ring) CHECK(slot.previous_real != index);
}

TEST_CASE("A plan of the VIPs that were weighed anew is the plan of all, and leaves the others as they are") {
  DesiredState state = WithReals(kVip, 3);
  const VipKey other = Key("203.0.113.11:443/tcp");
  state.vips[other] = state.vips[kVip];
  state.defaults.health.kind = CheckKind::kTcp;
  const Plan before = PlanOf(state);
  const Liveness liveness = {{kVip, {{Address("10.0.0.1"), Health::kDown}}},
                             {other, {{Address("10.0.0.2"), Health::kDown}}}};
  const WeightTable weights = WeighVips(state, liveness, {}, At(1));
  const NextHopTable next_hops = NextHopsOf(state);
  PlanRequest request{.desired = state, .weights = weights, .next_hops = next_hops, .capacities = kSmall, .now = At(1)};
  const Plan all = MakePlan(request, before).value();
  const WeightTable some = {{kVip, weights.at(kVip)}};
  request.reweighed = &some;
  const Plan one = MakePlan(request, before).value();
  CHECK(one.vips.at(kVip).reals == all.vips.at(kVip).reals);
  CHECK(*one.vips.at(kVip).ring == *all.vips.at(kVip).ring);
  CHECK(one.vips.at(other).reals == before.vips.at(other).reals);
  CHECK(one.vips.at(other).ring == before.vips.at(other).ring);
}

TEST_CASE("Without a real that serves there is no ring") {
  DesiredState state = WithReals(kVip, 2);
  state.defaults.health.kind = CheckKind::kTcp;
  state.defaults.panic_percent = 0;
  const Liveness none = {{kVip, {{Address("10.0.0.1"), Health::kDown}, {Address("10.0.0.2"), Health::kDown}}}};
  const Plan down = PlanWith(none, state, PlanOf(state), At(1));
  CHECK(down.vips.at(kVip).ring->empty());
  CHECK(down.vips.at(kVip).reals.size() == 2);
}

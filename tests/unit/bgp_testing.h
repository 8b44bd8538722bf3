// SPDX-License-Identifier: Apache-2.0
// For the tests of userspace/bgp: what is in force, as the planner makes it from a desired state and from who is
// healthy.
#pragma once

#include <string>

#include "tests/unit/control_testing.h"
#include "userspace/control/writer.h"

namespace shunt::testing {

inline Snapshot InForce(const DesiredState& state, const Liveness& liveness = {}) {
  constexpr Capacities kRoom{.max_vips = 512, .max_reals = 4096, .max_flows = 64};
  Snapshot snapshot{.desired = state, .plan = {}, .next_hops = NextHopsOf(state), .liveness = liveness};
  snapshot.weights = WeighVips(state, liveness, {}, SteadyTime());
  snapshot.plan = PlanFrom({}, state, kRoom, SteadyTime(), liveness).value();
  return snapshot;
}

// A VIP with a check and reals 10.0.0.1 and up, which does not panic.
inline DesiredState CheckedVip(const VipKey& vip, int reals) {
  DesiredState state = WithReals(vip, reals);
  state.defaults.health.kind = CheckKind::kTcp;
  state.defaults.panic_percent = 0;
  return state;
}

// So many of the VIP's reals are up, the first ones; the others are down.
inline Liveness FirstUp(const DesiredState& state, const VipKey& vip, int up) {
  Liveness liveness;
  for (const auto& [address, real] : state.vips.at(vip).reals)
    liveness[vip][address] = up-- > 0 ? Health::kUp : Health::kDown;
  return liveness;
}

}  // namespace shunt::testing

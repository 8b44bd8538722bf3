// SPDX-License-Identifier: Apache-2.0
// Slow start: who climbs to its weight, since when, and how far it is. Pure; called by the writer (health_state.h) and
// by weights.h. Not here: what a climb means beside the other reals' weights.
#pragma once

#include <cstdint>
#include <map>

#include "userspace/control/liveness.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

inline constexpr uint32_t kClimbSteps = 20;     // in the whole window: few slots move at a time
inline constexpr uint32_t kWholeClimb = 10000;  // the factor at the top

// When a real began to climb; a real that is not here has its whole weight.
using RealClimbs = std::map<IpAddress, SteadyTime>;
using Climbs = std::map<VipKey, RealClimbs>;

struct ClimbStep {
  uint32_t factor = kWholeClimb;           // of the weight, in parts of kWholeClimb
  SteadyTime next_at = SteadyTime::max();  // of the next step; max: it is at the top
  bool ended() const { return factor == kWholeClimb; }
};
ClimbStep ClimbAt(const VipSettings& settings, SteadyTime began, SteadyTime now);

// One moment of a VIP.
struct VipMoment {
  const Vip& vip;
  const std::map<IpAddress, Health>& health;
  bool is_used_whole = false;  // in panic all its reals have their whole weight
};

// Who climbs from now on: reals that are new, came up, or are drained no longer. Those at the top are left out. Where
// no other real is at the top, a new climber joins the one that began first: there is nobody to spare it the load, and
// among climbers only ratios count.
RealClimbs NextClimbsOf(const VipSettings& settings, const VipMoment& before, const VipMoment& after,
                        const RealClimbs& climbs, SteadyTime now);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// From liveness to weights: what each real of a VIP is to get, from what is desired, what is known of its health and
// since when it climbs. Panic, backups, canaries and groups are here and nowhere else. Pure; called by the writer
// before it plans. Not here: who is healthy (health/), who climbs and how far (slow_start.h), which slots follow
// (planner.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "userspace/control/liveness.h"
#include "userspace/control/slow_start.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

struct RealWeight {
  uint32_t weight = 0;           // share of new flows among the VIP's reals; 0: none. Only ratios mean something.
  bool serves = true;            // its old flows may go on
  uint32_t climb_percent = 100;  // of its whole weight; less while it climbs
  bool operator==(const RealWeight&) const = default;
};

enum class VipMode : uint8_t {
  kNormal,
  kPanicOpen,    // too few are healthy: all reals that were ever judged take traffic
  kPanicClosed,  // too few are healthy: only these take traffic
  kWithdrawn,    // the same, and the VIP is not to be announced
};

struct VipWeights {
  std::vector<RealWeight> reals;  // in the order of Vip::reals
  VipMode mode = VipMode::kNormal;
  bool backups_used = false;
  double healthy_percent = 100;            // of the weight of the reals that may take new flows and were ever judged
  std::optional<SteadyTime> climbs_on_at;  // when some weight will be another, if nothing else changes
  bool operator==(const VipWeights&) const = default;
};
using WeightTable = std::map<VipKey, VipWeights>;

// As far as is desired: active, in no group or in the active one, and with a weight or as a canary.
bool TakesNewFlows(const Vip& vip, const Real& real);

VipWeights WeighVip(const VipSettings& settings, const Vip& vip, const std::map<IpAddress, Health>& health,
                    const RealClimbs& climbs, SteadyTime now);
WeightTable WeighVips(const DesiredState& desired, const Liveness& liveness, const Climbs& climbs, SteadyTime now);

}  // namespace shunt

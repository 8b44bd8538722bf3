// SPDX-License-Identifier: Apache-2.0
// The planner: what the data plane should hold, from what is desired, what each real is to get (weights.h) and what it
// holds now. A pure function; owns ids, indices and table ranges (0 is never handed out, a freed one rests), rings and
// outer headers. Not here: what time does to the slots of a ring (settling.h).
#pragma once

#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/control/weights.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/validate.h"

namespace shunt {

struct PlanRequest {
  const DesiredState& desired;  // valid (Validate)
  const WeightTable& weights;   // of every VIP of `desired`
  const NextHopTable& next_hops;
  Capacities capacities;
  SteadyTime now;
  // Unset: anything may differ from what `current` was made from. Else only the weights of these VIPs do.
  const WeightTable* reweighed = nullptr;
};

// Keeps the ids, indices, ranges and unchanged rings of `current`. kInvalid when everything free still rests or
// the maps are full; nothing is to be written then.
Result<Plan> MakePlan(const PlanRequest& request, const Plan& current);

// A line for each VIP that serves on, but by a change of its settings sends flows to other reals than before.
std::vector<std::string> MovedFlows(const Plan& before, const Plan& after);

}  // namespace shunt

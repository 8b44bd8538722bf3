// SPDX-License-Identifier: Apache-2.0
// A VIP's ring as the data plane takes it: the Maglev table over its reals that take new flows, in their indices.
// Not here: how Maglev fills a table (maglev/). Pure; called by the planner.
#pragma once

#include <cstdint>
#include <span>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

// Active and with a weight.
bool TakesNewFlows(const Real& real);

// The VIP has the same ring in both states, as long as its reals keep their indices.
bool SameRing(const DesiredState& before, const DesiredState& after, const VipKey& key);

// Empty if no real takes new flows. `indices` are those of the VIP's reals, in their order.
Result<Ring> MakeRing(const Vip& vip, std::span<const uint16_t> indices, uint32_t ring_size);

}  // namespace shunt

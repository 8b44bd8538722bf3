// SPDX-License-Identifier: Apache-2.0
// Which real serves the new flows of each slot of a VIP's ring: the Maglev table over the reals that take new flows, in
// their indices. Not here: how Maglev fills a table (maglev/), what the slots remember of their former reals
// (slot_rules.h). Pure; called by the planner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

// Active and with a weight.
bool TakesNewFlows(const Real& real);

// The VIP's slots have the same current reals in both states and are tracked alike, as long as its reals keep their
// indices.
bool SameRing(const DesiredState& before, const DesiredState& after, const VipKey& key);

// By slot; empty if no real takes new flows. `indices` are those of the VIP's reals, in their order.
Result<std::vector<uint16_t>> MakeRing(const Vip& vip, std::span<const uint16_t> indices, uint32_t ring_size);

}  // namespace shunt

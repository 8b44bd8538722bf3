// SPDX-License-Identifier: Apache-2.0
// Which real serves the new flows of each slot of a VIP's ring: the Maglev table over the reals that take new flows, by
// their indices. Not here: how Maglev fills a table (maglev/), what the slots remember of their former reals
// (slot_rules.h). Pure; called by the planner.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/control/weights.h"
#include "userspace/dataplane/plan.h"

namespace shunt {

// What the ring follows from: those with a weight, in the order of the VIP's reals. Weights are divided by their
// greatest common divisor, so that equal ratios are equal. `indices` are those of the VIP's reals, in their order.
std::vector<RingMember> MembersOf(std::span<const RealWeight> weights, std::span<const uint16_t> indices);

// By slot; empty if there are no members. `reals` are those of the VIP, by index.
Result<std::vector<uint16_t>> MakeRing(std::span<const RingMember> members, const std::map<uint16_t, RealEntry>& reals,
                                       uint32_t ring_size);

}  // namespace shunt

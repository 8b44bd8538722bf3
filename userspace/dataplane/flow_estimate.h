// SPDX-License-Identifier: Apache-2.0
// How many different flows a sketch has seen (HyperLogLog; the sketch itself: shunt_flow_sketch of the ABI). Pure; any
// thread. Not here: where sketches stand and who empties them.
#pragma once

#include <cstdint>
#include <span>

namespace shunt {

// From the highest rank that each register met, 0 to SHUNT_SKETCH_MAX_RANK; 0: it met none. The standard error is
// 1.04 over the square root of the number of registers.
double EstimateFlows(std::span<const uint8_t> ranks);

}  // namespace shunt

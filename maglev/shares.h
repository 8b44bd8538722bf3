// SPDX-License-Identifier: Apache-2.0
//
// How many slots each real owns: whole numbers as near to its exact share as whole numbers can be.
// Which slots these are is decided in matching.h. Called by ring.cc; pure, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shunt::maglev {

// shares[i] = slots for weights[i]; their sum is ring_size. Each is floor or ceil of weights[i] * ring_size / sum.
// The slots that rounding down leaves over go first to reals that have none yet, then by largest remainder, and
// between equals to the lower position. The sum of `weights` must not be 0.
std::vector<uint32_t> ExactShares(std::span<const uint32_t> weights, uint32_t ring_size);

}  // namespace shunt::maglev

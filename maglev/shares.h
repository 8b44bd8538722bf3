// SPDX-License-Identifier: Apache-2.0
//
// How many slots each real owns: whole numbers as near to its exact share as whole numbers can be.
// Which slots these are is decided in matching.h and remainder.h. Called by ring.cc; pure, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shunt::maglev {

struct Share {
  uint32_t slots;  // what the real surely owns
  bool may_grow;   // it may own one more
};

// The exact share of real i is weights[i] * ring_size / (sum of weights). `slots` is that rounded down, and may_grow
// says that something was lost by rounding: `slots` and `slots` + 1 are both less than 1 from exact. Rounding leaves
// some slots over. The first of them go to reals whose share is less than one slot, which would otherwise get no
// traffic, the largest first, between equals the lower position; such a real may not grow. What is left over after
// that is nothing, or fewer slots than there are reals that may grow. The sum of `weights` must not be 0.
std::vector<Share> ExactShares(std::span<const uint32_t> weights, uint32_t ring_size);

}  // namespace shunt::maglev

// SPDX-License-Identifier: Apache-2.0
//
// Exact shares, in integers: see shares.h. Pure, any thread.
#include "maglev/shares.h"

#include <algorithm>
#include <numeric>

namespace shunt::maglev {

std::vector<Share> ExactShares(std::span<const uint32_t> weights, uint32_t ring_size) {
  const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  std::vector<Share> shares;
  shares.reserve(weights.size());
  std::vector<uint32_t> without_slot;
  size_t left_over = ring_size;
  for (uint32_t i = 0; i < weights.size(); ++i) {
    const uint64_t product = uint64_t{weights[i]} * ring_size;
    const auto slots = static_cast<uint32_t>(product / sum);
    shares.push_back({slots, slots != 0 && product % sum != 0});
    left_over -= slots;
    if (slots == 0 && weights[i] != 0) without_slot.push_back(i);
  }
  std::sort(without_slot.begin(), without_slot.end(),
            [&](uint32_t a, uint32_t b) { return weights[a] != weights[b] ? weights[a] > weights[b] : a < b; });
  without_slot.resize(std::min(without_slot.size(), left_over));
  for (const uint32_t i : without_slot) shares[i].slots = 1;
  return shares;
}

}  // namespace shunt::maglev

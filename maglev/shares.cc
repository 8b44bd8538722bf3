// SPDX-License-Identifier: Apache-2.0
//
// Shares by largest remainder, in integers: see shares.h. Pure, any thread.
#include "maglev/shares.h"

#include <algorithm>
#include <numeric>

namespace shunt::maglev {

std::vector<uint32_t> ExactShares(std::span<const uint32_t> weights, uint32_t ring_size) {
  struct Claim {
    uint64_t strength;
    uint32_t position;
  };
  const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  std::vector<uint32_t> shares(weights.size());
  std::vector<Claim> claims;
  claims.reserve(weights.size());
  uint32_t left = ring_size;
  for (uint32_t i = 0; i < weights.size(); ++i) {
    const uint64_t product = uint64_t{weights[i]} * ring_size;
    shares[i] = static_cast<uint32_t>(product / sum);
    left -= shares[i];
    const uint64_t remainder = product % sum;
    if (remainder == 0) continue;
    // Any remainder is less than `sum`, so a real without a slot comes before every real that has one.
    claims.push_back({shares[i] == 0 ? sum + remainder : remainder, i});
  }
  const auto stronger = [](const Claim& a, const Claim& b) {
    return a.strength != b.strength ? a.strength > b.strength : a.position < b.position;
  };
  // The remainders add up to left * sum, and each is less than sum: there are more claims than slots left, or none.
  if (left != 0) std::nth_element(claims.begin(), claims.begin() + left - 1, claims.end(), stronger);
  for (uint32_t i = 0; i < left; ++i) ++shares[claims[i].position];
  return shares;
}

}  // namespace shunt::maglev

// SPDX-License-Identifier: Apache-2.0
//
// The lookup table of the Maglev paper (Eisenbud et al., NSDI 2016, section 3.4), transcribed plainly: what Shunt's
// rings are compared with. Weights follow the paper's remark that a backend's weight is the relative frequency of its
// turns. No optimisation belongs here. One departure: permutation[i][j] is computed when it is needed, as the table
// of all permutations would take gigabytes.
// Included by the unit tests and by maglev-report; pure, any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "maglev/ring.h"
#include "maglev/walk.h"

namespace shunt::maglev {

inline std::vector<uint16_t> BuildPaperRing(std::span<const Real> reals, uint32_t m) {
  const size_t n = reals.size();
  std::vector<uint32_t> offset(n);
  std::vector<uint32_t> skip(n);
  std::vector<uint32_t> next(n, 0);
  std::vector<uint32_t> turn(n, 0);
  uint32_t heaviest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint64_t hash = HashId(reals[i].id);
    std::array<uint8_t, 16> other = reals[i].id;
    other[0] = static_cast<uint8_t>(~other[0]);
    offset[i] = static_cast<uint32_t>(hash % m);
    skip[i] = static_cast<uint32_t>(HashId(other) % (m - 1)) + 1;
    heaviest = std::max(heaviest, reals[i].weight);
  }
  std::vector<uint16_t> entry(m, kNoReal);
  uint32_t filled = 0;
  for (;;) {
    for (size_t i = 0; i < n; ++i) {
      turn[i] += reals[i].weight;
      if (turn[i] < heaviest) continue;
      turn[i] -= heaviest;
      const auto permutation = [&](uint32_t j) {
        return static_cast<uint32_t>((offset[i] + uint64_t{j} * skip[i]) % m);
      };
      uint32_t c = permutation(next[i]);
      while (entry[c] != kNoReal) {
        ++next[i];
        c = permutation(next[i]);
      }
      entry[c] = static_cast<uint16_t>(i);
      ++next[i];
      if (++filled == m) return entry;
    }
  }
}

}  // namespace shunt::maglev

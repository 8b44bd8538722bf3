// SPDX-License-Identifier: Apache-2.0
// The estimator of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6: unbiased
// from no flow at all to registers that are nearly all full, without thresholds and tables. 15 ranks of 128 registers
// are all but full at a million flows, where the plain formula falls short.
#include "userspace/dataplane/flow_estimate.h"

#include <shunt/abi_types.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace shunt {
namespace {

// x + sum of x^(2^k) 2^(k-1): what registers that met no flow add.
double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double sum = x;
  double weight = 1;
  for (double before = -1; sum != before; weight += weight) {
    x *= x;
    before = sum;
    sum += x * weight;
  }
  return sum;
}

// (1 - x - sum of (1 - x^(2^-k))^2 2^-k) / 3: what registers add whose rank is the highest there is or would be higher.
double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double sum = 1 - x;
  double weight = 1;
  for (double before = -1; sum != before;) {
    x = std::sqrt(x);
    before = sum;
    weight /= 2;
    sum -= (1 - x) * (1 - x) * weight;
  }
  return sum / 3;
}

}  // namespace

double EstimateFlows(std::span<const uint8_t> ranks) {
  std::array<uint32_t, SHUNT_SKETCH_MAX_RANK + 1> registers_of{};
  for (const uint8_t rank : ranks) ++registers_of.at(rank);
  const auto registers = static_cast<double>(ranks.size());
  double sum = registers * Tau(1 - registers_of[SHUNT_SKETCH_MAX_RANK] / registers);
  for (size_t rank = SHUNT_SKETCH_MAX_RANK - 1; rank > 0; --rank) sum = (sum + registers_of[rank]) / 2;
  sum += registers * Sigma(registers_of[0] / registers);
  return registers * registers / (2 * std::numbers::ln2 * sum);
}

}  // namespace shunt

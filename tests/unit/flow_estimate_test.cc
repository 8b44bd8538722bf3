// SPDX-License-Identifier: Apache-2.0
// How far estimates of the number of flows are off, over many sketches of random hashes.
#include "userspace/dataplane/flow_estimate.h"

#include <shunt/abi_types.h>

#include <algorithm>
#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <random>

namespace shunt {
namespace {

using Ranks = std::array<uint8_t, SHUNT_SKETCH_REGISTERS>;

// As abi_types.h words it: low 7 bits the register, trailing zeros of the next 25 plus one the rank, at most 15.
void Note(Ranks& ranks, uint64_t hash) {
  uint8_t& highest = ranks[hash % SHUNT_SKETCH_REGISTERS];
  const auto bits = static_cast<uint32_t>(hash) >> 7;
  const int rank = bits == 0 ? 26 : std::countr_zero(bits) + 1;
  highest = static_cast<uint8_t>(std::max<int>(highest, std::min(rank, int{SHUNT_SKETCH_MAX_RANK})));
}

TEST_CASE("Estimates are right on average and 12 % off at most as a rule, from ten flows to a million") {
  std::mt19937_64 random(7);
  for (const auto& [flows, runs] :
       {std::pair{10, 2000}, {100, 2000}, {1000, 1000}, {10'000, 300}, {100'000, 150}, {1'000'000, 60}}) {
    double error_sum = 0;
    double square_sum = 0;
    for (int run = 0; run < runs; ++run) {
      Ranks ranks{};
      for (int flow = 0; flow < flows; ++flow) Note(ranks, random());
      const double error = EstimateFlows(ranks) / flows - 1;
      error_sum += error;
      square_sum += error * error;
    }
    const double bias = error_sum / runs;
    const double deviation = std::sqrt(square_sum / runs);
    std::printf("flow estimate of %7d flows: mean %+.1f %%, standard error %.1f %%\n", flows, 100 * bias,
                100 * deviation);
    INFO(flows);
    CHECK(std::abs(bias) < 0.05);
    CHECK(deviation < 0.12);
  }
}

TEST_CASE("A sketch that met no flow estimates none, one that met one about one") {
  Ranks ranks{};
  CHECK(EstimateFlows(ranks) == 0);
  Note(ranks, 0x0123456789abcdef);
  CHECK(EstimateFlows(ranks) == Approx(1).margin(0.1));
  const double once = EstimateFlows(ranks);
  for (int i = 0; i < 1000; ++i) Note(ranks, 0x0123456789abcdef);
  CHECK(EstimateFlows(ranks) == once);
}

}  // namespace
}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// How late probes were started lately, over all targets: counted by size in slices of a second. Pure. Not here: when
// they were due (schedule.h).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "userspace/dataplane/plan.h"

namespace shunt {

struct LatenessFigures {
  uint32_t p50_us = 0, p99_us = 0;  // to 1 in 16, rounded down
  uint32_t max_us = 0;
};

class Lateness {
 public:
  static constexpr std::chrono::seconds kSlice{1};
  static constexpr size_t kSlices = 10;

  void Note(std::chrono::microseconds late, SteadyTime now);
  LatenessFigures Figures(SteadyTime now) const;  // of the last kSlices

 private:
  static constexpr int kBits = 4;
  static constexpr size_t kSizes = 29 << kBits;  // all that 32 bits can be shortened to
  struct Slice {
    int64_t number = -1;
    uint32_t max_us = 0;
    std::array<uint32_t, kSizes> count{};
  };
  std::array<Slice, kSlices> slices_;
};

}  // namespace shunt

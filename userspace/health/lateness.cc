// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/lateness.h"

#include <algorithm>

#include "userspace/health/short_us.h"

namespace shunt {
namespace {

int64_t SliceOf(SteadyTime time) { return time.time_since_epoch() / Lateness::kSlice; }

}  // namespace

void Lateness::Note(std::chrono::microseconds late, SteadyTime now) {
  const auto late_us = static_cast<uint32_t>(std::clamp<int64_t>(late.count(), 0, UINT32_MAX));
  const int64_t number = SliceOf(now);
  Slice& slice = slices_[static_cast<size_t>(number) % kSlices];
  if (slice.number != number) slice = {.number = number};
  slice.max_us = std::max(slice.max_us, late_us);
  ++slice.count[ShortenUs<kBits>(late_us)];
}

LatenessFigures Lateness::Figures(SteadyTime now) const {
  std::array<uint64_t, kSizes> count{};
  uint64_t all = 0;
  LatenessFigures figures;
  const int64_t oldest = SliceOf(now) - static_cast<int64_t>(kSlices);
  for (const Slice& slice : slices_) {
    if (slice.number <= oldest) continue;
    figures.max_us = std::max(figures.max_us, slice.max_us);
    for (size_t size = 0; size < kSizes; ++size) {
      count[size] += slice.count[size];
      all += slice.count[size];
    }
  }
  const auto percentile = [&](uint64_t percent) {
    uint64_t left = (all * percent + 99) / 100;
    size_t size = 0;
    while (size + 1 < kSizes && left > count[size]) left -= count[size++];
    return LengthenUs<kBits>(static_cast<uint16_t>(size));
  };
  if (all == 0) return figures;
  figures.p50_us = percentile(50);
  figures.p99_us = percentile(99);
  return figures;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/latency.h"

#include <algorithm>
#include <cmath>

#include "userspace/health/short_us.h"

namespace shunt {
namespace {

constexpr int kBits = 11;

}  // namespace

void Latency::Note(uint32_t took_us) {
  const auto took = static_cast<float>(took_us);
  average_us_ = count_ == 0 ? took : average_us_ + kPart * (took - average_us_);
  last_us_ = took_us;
  kept_[next_] = ShortenUs<kBits>(took_us);
  next_ = static_cast<uint8_t>((next_ + 1) % kKept);
  count_ = static_cast<uint8_t>(std::min<size_t>(count_ + 1u, kKept));
}

LatencyFigures Latency::figures() const {
  if (count_ == 0) return {};
  std::array<uint16_t, kKept> kept = kept_;
  const auto end = kept.begin() + count_;
  auto begin = kept.begin();
  // In rising order, so that each has only what is left above the one before to look at.
  const auto percentile = [&](int percent) {
    const auto place = kept.begin() + (count_ * percent + 99) / 100 - 1;
    std::nth_element(begin, place, end);
    begin = place;
    return LengthenUs<kBits>(*place);
  };
  LatencyFigures figures{.last_us = last_us_, .average_us = static_cast<uint32_t>(std::lround(average_us_))};
  figures.p50_us = percentile(50);
  figures.p90_us = percentile(90);
  figures.p99_us = percentile(99);
  return figures;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Microseconds in few bits: exact while small, then in steps of one part in 2^kBits. Keeps the order, so that
// percentiles can be taken of the short form. Called by latency.cc and lateness.cc.
#pragma once

#include <bit>
#include <cstdint>

namespace shunt {

template <int kBits>
constexpr uint16_t ShortenUs(uint32_t us) {
  if (us < (1u << kBits)) return static_cast<uint16_t>(us);
  const int shift = std::bit_width(us) - 1 - kBits;
  return static_cast<uint16_t>((static_cast<uint32_t>(shift) << kBits) + (us >> shift));
}

// The smallest number that is shortened to this.
template <int kBits>
constexpr uint32_t LengthenUs(uint16_t shortened) {
  if (shortened < (2u << kBits)) return shortened;
  const uint32_t shift = (static_cast<uint32_t>(shortened) >> kBits) - 1;
  return (shortened - (shift << kBits)) << shift;
}

}  // namespace shunt

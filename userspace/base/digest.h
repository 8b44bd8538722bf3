// SPDX-License-Identifier: Apache-2.0
// A digest of bytes, to tell apart what differs by accident: FNV-1a with 64 bits (Fowler, Noll, Vo). Not here: anything
// that somebody might want to forge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace shunt {

inline constexpr uint64_t kDigestOfNothing = 0xcbf29ce484222325;
inline constexpr uint64_t kDigestPrime = 0x100000001b3;

// `digest`: of what stands before these bytes.
inline uint64_t Digest(std::span<const std::byte> bytes, uint64_t digest = kDigestOfNothing) {
  for (const std::byte byte : bytes) digest = (digest ^ std::to_integer<uint64_t>(byte)) * kDigestPrime;
  return digest;
}

inline uint64_t Digest(std::string_view text) { return Digest(std::as_bytes(std::span(text))); }

}  // namespace shunt

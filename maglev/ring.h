// SPDX-License-Identifier: Apache-2.0
//
// The ring of a VIP: which real owns which slot. This is the library's whole public interface.
// What a slot's owner looks like on the wire, and how a ring reaches the kernel, is not known here.
// Called by the planner and by maglev-report; every function is pure, so any thread may call it.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

namespace shunt::maglev {

// Never the position of a real: "this slot has no owner". BuildRing leaves no slot without an owner.
inline constexpr uint16_t kNoReal = 0xffff;
// The smallest and the largest prime a ring may have as its size. Rings of fewer than 100 slots a real are
// accepted, but shares are then rounded coarsely.
inline constexpr uint32_t kMinRingSize = 2;
inline constexpr uint32_t kMaxRingSize = 655373;
// Room for a weight of 16 bits times a factor in parts of 10000, such as slow start's.
inline constexpr uint32_t kMaxWeight = 65535 * 10000;
// Positions of reals are 16 bits wide, and kNoReal is one of them.
inline constexpr uint32_t kMaxReals = 65535;

struct Real {
  std::array<uint8_t, 16> id;  // IPv6 or v4-mapped address, network byte order; the real's whole identity
  uint32_t weight;             // 0 to kMaxWeight; 0 gets no slot
};

// ring[slot] = position in `reals` of the slot's owner. Depends on nothing but the ids, the ratios of the weights and
// the ring size: not on the order of `reals`, not on the machine. A real of weight w owns floor or ceil of
// w * ring_size / (sum of weights) slots. The error is one sentence that names the object and the remedy.
std::expected<std::vector<uint16_t>, std::string> BuildRing(std::span<const Real> reals, uint32_t ring_size);

bool IsPrime(uint32_t n);

}  // namespace shunt::maglev

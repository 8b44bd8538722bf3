// SPDX-License-Identifier: Apache-2.0
//
// A real's walk: the order in which it visits the slots of a ring, and the time of each visit. Both follow from the
// real's id, its weight and the ring size alone, so a change of one real changes no other real's walk.
// Who gets which slot is decided in matching.h. Called by matching.cc; tests follow walks one visit at a time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace shunt::maglev {

// A bijection that spreads every bit of its argument over all bits of the result.
uint64_t Mix(uint64_t x);

// A number below `limit`, from the high half of `hash`; no division.
inline uint32_t Reduce(uint64_t hash, uint32_t limit) { return static_cast<uint32_t>(((hash >> 32) * limit) >> 32); }

// Hash of a real's id, the same on every machine.
uint64_t HashId(const std::array<uint8_t, 16>& id);

// Visit number k goes to slot (first_slot + k * stride) mod ring_size: as the ring size is prime, the first ring_size
// visits see every slot once. Visit times grow as 1/weight: twice the weight walks twice as fast.
struct Walk {
  uint32_t first_slot;
  uint32_t stride;      // 1 to ring_size - 1
  uint32_t slowness;    // 2^32 / weight, rounded down
  uint32_t head_start;  // less than the time of one step: keeps reals of equal weight from moving all at once
};

Walk MakeWalk(uint64_t id_hash, uint32_t weight, uint32_t ring_size);

// Before it is divided by the weight, the time of visit k is the mean of the k-th smallest of n exponential variables,
// n being the ring size: 1/n + 1/(n-1) + … (k terms, so 0 for visit 0). A race of such walks is won in proportion to
// the weights, which the plain time k/weight would give only to reals that own few slots. In units of 2^-28; kNever
// after the last slot.
class VisitTimes {
 public:
  static constexpr uint32_t kNever = UINT32_MAX;

  explicit VisitTimes(uint32_t ring_size) : ring_size_(ring_size), times_{0} {}

  // Makes operator[] valid for every visit up to the first whose time is at least `time`.
  void ExtendTo(uint32_t time);
  uint32_t operator[](uint32_t visit) const { return times_[visit]; }

 private:
  uint32_t ring_size_;
  std::vector<uint32_t> times_;
};

// The moment at which a walk makes a visit: 48 bits, comparable between reals.
inline uint64_t MomentOf(const Walk& walk, uint32_t visit_time) {
  return ((uint64_t{visit_time} * walk.slowness) >> 16) + walk.head_start;
}

// The smallest visit time whose moment is `moment` or later, kNever if there is none.
uint32_t VisitTimeAt(const Walk& walk, uint64_t moment);

}  // namespace shunt::maglev

// SPDX-License-Identifier: Apache-2.0
//
// The end of a matching: see endgame.h. One object serves one call, on one thread.
#include "maglev/endgame.h"

#include <algorithm>
#include <utility>

namespace shunt::maglev {
namespace {

// The number that gives 1 when multiplied by `n`, modulo the prime: n^(prime - 2).
uint32_t Inverse(uint32_t n, uint32_t prime) {
  uint64_t result = 1;
  uint64_t power = n;
  for (uint32_t exponent = prime - 2; exponent != 0; exponent /= 2) {
    if (exponent % 2 != 0) result = result * power % prime;
    power = power * power % prime;
  }
  return static_cast<uint32_t>(result);
}

// Multiplies by a fixed factor modulo a number below 2^31, without division.
class FixedFactor {
 public:
  FixedFactor(uint32_t factor, uint32_t modulus)
      : factor_(factor), modulus_(modulus), quotient_((uint64_t{factor} << 32) / modulus) {}

  uint32_t Times(uint32_t n) const {
    const uint64_t product = n * factor_ - ((n * quotient_) >> 32) * modulus_;
    return static_cast<uint32_t>(product >= modulus_ ? product - modulus_ : product);
  }

 private:
  uint64_t factor_;
  uint64_t modulus_;
  uint64_t quotient_;
};

}  // namespace

Endgame::Endgame(uint32_t ring_size, VisitTimes& times, std::vector<uint32_t> free_slots)
    : ring_size_(ring_size), times_(times), free_slots_(std::move(free_slots)) {}

void Endgame::AddReal(const Walk& walk, uint16_t position, uint32_t missing) {
  Row row{walk, missing, 0, 0, position, {}};
  row.visits.reserve(free_slots_.size());
  const FixedFactor steps(Inverse(walk.stride, ring_size_), ring_size_);
  for (const uint32_t slot : free_slots_) {
    const uint32_t distance = slot >= walk.first_slot ? slot - walk.first_slot : slot + ring_size_ - walk.first_slot;
    row.visits.push_back(steps.Times(distance));
  }
  rows_.push_back(std::move(row));
}

void Endgame::FindNearest(Row& row) {
  const auto nearest = std::min_element(row.visits.begin(), row.visits.end());
  row.nearest = static_cast<uint32_t>(nearest - row.visits.begin());
  times_.ExtendToVisit(*nearest);
  row.bid = Bid(row.walk, times_[*nearest], row.position);
}

void Endgame::RemoveSlot(uint32_t index) {
  const auto last = static_cast<uint32_t>(free_slots_.size() - 1);
  free_slots_[index] = free_slots_[last];
  free_slots_.pop_back();
  for (Row& row : rows_) {
    row.visits[index] = row.visits[last];
    row.visits.pop_back();
    if (row.nearest == index) {
      if (!row.visits.empty()) FindNearest(row);
    } else if (row.nearest == last) {
      row.nearest = index;
    }
  }
}

void Endgame::Finish(std::span<uint16_t> owners) {
  if (rows_.size() > 1) {
    for (Row& row : rows_) FindNearest(row);
  }
  while (rows_.size() > 1) {
    const auto first = std::min_element(rows_.begin(), rows_.end(),
                                        [](const Row& a, const Row& b) { return a.bid < b.bid; });
    const uint32_t index = first->nearest;
    owners[free_slots_[index]] = first->position;
    if (--first->missing == 0) {
      if (first != rows_.end() - 1) *first = std::move(rows_.back());
      rows_.pop_back();
    }
    RemoveSlot(index);
  }
  // The last real needs all that is left.
  for (const uint32_t slot : free_slots_) owners[slot] = rows_.front().position;
}

}  // namespace shunt::maglev

// SPDX-License-Identifier: Apache-2.0
//
// The end of a matching: few slots are still free and few reals still need some. Walking on would take most visits to
// slots that are taken; here each real computes when it would reach each free slot, and the earliest go first.
// The result is the one that walking on would give. Called by matching.cc; one object serves one call, on one thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "maglev/walk.h"

namespace shunt::maglev {

class Endgame {
 public:
  // No slot of `free_slots` may have been visited by any real added below.
  Endgame(uint32_t ring_size, VisitTimes& times, std::vector<uint32_t> free_slots);

  void AddReal(const Walk& walk, uint16_t position, uint32_t missing);

  // Sets the owner of every free slot. The reals must miss as many slots as are free.
  void Finish(std::span<uint16_t> owners);

 private:
  struct Row {
    Walk walk;
    uint32_t missing;
    uint32_t nearest;   // index of the free slot it reaches first
    uint64_t bid;       // when it reaches that, and its position: see Bid
    uint16_t position;
    std::vector<uint32_t> visits;  // number of the visit to each free slot
  };

  void FindNearest(Row& row);
  void RemoveSlot(uint32_t index);

  uint32_t ring_size_;
  VisitTimes& times_;
  std::vector<uint32_t> free_slots_;
  std::vector<Row> rows_;
};

}  // namespace shunt::maglev

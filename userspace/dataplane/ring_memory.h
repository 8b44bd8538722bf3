// SPDX-License-Identifier: Apache-2.0
// Which lines of ring memory belong to which ring: hands out ranges of lines and takes them back. Pure; the memory
// itself is kernel_rings.h's matter. One thread at a time.
//
// A range that packets may still read is retired: it is handed out again only after Reclaim(), which its owner calls
// once no packet is under way any more that may have met it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace shunt {

struct RingRange {
  uint32_t first_line = 0;
  uint32_t lines = 0;
  bool operator==(const RingRange&) const = default;
};

class RingMemory {
 public:
  // More lines behind those there are.
  void Grow(uint32_t lines);

  // Unset: nowhere are so many free lines in a row. `lines` is not 0.
  std::optional<RingRange> Take(uint32_t lines);
  // These lines; false if they are not all free.
  bool TakeAt(const RingRange& range);

  void Free(const RingRange& range);    // taken, and never met by a packet
  void Retire(const RingRange& range);  // taken, and perhaps read by packets
  void Reclaim();                       // what is retired is free
  uint32_t free_lines() const;

  // How many lines must be added for Take(lines) to succeed after a Reclaim(); 0: none.
  uint32_t MissingFor(uint32_t lines) const;

 private:
  using Ranges = std::map<uint32_t, uint32_t>;  // first line → lines; never side by side in free_
  static void Add(Ranges& ranges, const RingRange& range);

  uint32_t lines_ = 0;
  Ranges free_;
  Ranges retired_;
};

}  // namespace shunt

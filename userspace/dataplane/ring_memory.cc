// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/ring_memory.h"

#include <iterator>

namespace shunt {

void RingMemory::Add(Ranges& ranges, const RingRange& range) {
  auto added = ranges.emplace(range.first_line, range.lines).first;
  if (const auto next = std::next(added); next != ranges.end() && added->first + added->second == next->first) {
    added->second += next->second;
    ranges.erase(next);
  }
  if (added == ranges.begin()) return;
  if (const auto before = std::prev(added); before->first + before->second == added->first) {
    before->second += added->second;
    ranges.erase(added);
  }
}

void RingMemory::Grow(uint32_t lines) {
  Add(free_, {lines_, lines});
  lines_ += lines;
}

// The first range that is long enough: rings of one size, the usual case, leave no gaps.
std::optional<RingRange> RingMemory::Take(uint32_t lines) {
  for (const auto& [first, count] : free_) {
    const RingRange range{first, lines};
    if (count >= lines && TakeAt(range)) return range;
  }
  return std::nullopt;
}

bool RingMemory::TakeAt(const RingRange& range) {
  auto found = free_.upper_bound(range.first_line);
  if (found == free_.begin()) return false;
  --found;
  const uint64_t found_end = uint64_t{found->first} + found->second;
  const uint64_t end = uint64_t{range.first_line} + range.lines;
  if (end > found_end) return false;
  found->second = range.first_line - found->first;
  if (found->second == 0) free_.erase(found);
  if (end < found_end) free_.emplace(static_cast<uint32_t>(end), static_cast<uint32_t>(found_end - end));
  return true;
}

void RingMemory::Free(const RingRange& range) { Add(free_, range); }

void RingMemory::Retire(const RingRange& range) { Add(retired_, range); }

void RingMemory::Reclaim() {
  for (const auto& [first, lines] : retired_) Add(free_, {first, lines});
  retired_.clear();
}

uint32_t RingMemory::free_lines() const {
  uint32_t lines = 0;
  for (const auto& [first, count] : free_) lines += count;
  return lines;
}

uint32_t RingMemory::MissingFor(uint32_t lines) const {
  Ranges all = free_;
  for (const auto& [first, count] : retired_) Add(all, {first, count});
  uint32_t at_end = 0;
  for (const auto& [first, count] : all) {
    if (count >= lines) return 0;
    if (first + count == lines_) at_end = count;
  }
  return lines - at_end;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
//
// The stable matching, computed fast: see matching.h for what it is. Pure, any thread.
//
// Time is cut into slices. Inside a slice each real walks on alone, so that its state stays in registers; a visit
// that turns out to be earlier than that of the slot's present owner takes the slot over, and the real that lost it
// walks on. When no real moves any more the slice is over: no later visit can beat its owners, so its slots are marked
// settled in a bitmap that fits the first-level cache, and most later visits end at that bitmap.
// The width of a slice changes the speed and never the result.
#include "maglev/matching.h"

#include <algorithm>
#include <utility>

#include "maglev/endgame.h"
#include "maglev/walk.h"

namespace shunt::maglev {
namespace {

// The endgame's work grows as the square of the free slots, while walking on costs a few visits for each slot of the
// ring; so it begins when that square is no more than a quarter of the ring size.
bool IsEndgame(uint64_t free_slots, uint32_t ring_size) { return free_slots * free_slots <= ring_size / 4; }

// From this size on the bids do not fit the second-level cache, and are fetched so many visits ahead.
constexpr uint32_t kPrefetchRingSize = 100000;
constexpr uint32_t kPrefetchVisits = 8;

struct Walker {
  Walk walk;
  uint32_t slot;        // of the next visit
  uint32_t visit;       // its number
  uint32_t slice_end;   // visits whose time is less than this belong to the present slice
  uint32_t owned;
  uint32_t share;
  uint16_t position;
};

class Matching {
 public:
  Matching(std::span<const Contender> contenders, uint32_t ring_size);
  std::vector<uint16_t> Run();

 private:
  void RunSlice(uint64_t end);
  void WalkAll(std::span<const uint16_t> positions);
  template <bool kPrefetch>
  void WalkOn(Walker& walker);
  uint32_t Step(uint32_t slot, uint32_t stride) const {
    slot += stride;
    return slot >= ring_size_ ? slot - ring_size_ : slot;
  }
  std::vector<uint16_t> Owners();
  bool IsSettled(uint32_t slot) const { return (settled_[slot / 64] >> (slot % 64) & 1) != 0; }

  uint32_t ring_size_;
  uint32_t free_;  // slots without an owner
  uint64_t slice_width_;
  VisitTimes times_;
  std::vector<Walker> walkers_;     // by position
  std::vector<uint16_t> unserved_;  // positions of reals that own less than their share
  std::vector<uint64_t> best_;      // of each slot: the bid of its owner, or kNoBid while it is free
  std::vector<uint64_t> settled_;   // one bit a slot: the owner is final
  std::vector<uint32_t> taken_;     // slots that stopped being free in the present slice
  std::vector<uint16_t> losers_;    // positions of reals that lost a slot and must walk on
  std::vector<uint16_t> again_;     // the losers that are walking on now
};

Matching::Matching(std::span<const Contender> contenders, uint32_t ring_size)
    : ring_size_(ring_size), free_(ring_size), times_(ring_size), best_(ring_size, kNoBid), settled_(ring_size / 64 + 1) {
  uint64_t sum = 0;
  walkers_.reserve(contenders.size());
  unserved_.reserve(contenders.size());
  taken_.reserve(ring_size);
  for (const Contender& contender : contenders) {
    const Walk walk = MakeWalk(contender.id_hash, contender.weight, ring_size);
    const auto position = static_cast<uint16_t>(walkers_.size());
    walkers_.push_back({walk, walk.first_slot, 0, 0, 0, contender.share, position});
    unserved_.push_back(position);
    sum += contender.weight;
  }
  // In 2^44 / sum all reals together make about ring_size visits. A slice is an eighth of that, or four visits a real.
  const uint64_t eighths = std::max<uint64_t>(1, 32 * contenders.size() / ring_size);
  slice_width_ = std::max<uint64_t>(1, (uint64_t{1} << 41) / sum * eighths);
}

template <bool kPrefetch>
void Matching::WalkOn(Walker& walker) {
  const Walk walk = walker.walk;
  uint32_t slot = walker.slot;
  uint32_t visit = walker.visit;
  uint32_t missing = walker.share - walker.owned;
  uint32_t ahead = 0;
  if (kPrefetch) ahead = static_cast<uint32_t>((slot + uint64_t{walk.stride} * kPrefetchVisits) % ring_size_);
  for (; missing != 0 && times_[visit] < walker.slice_end; ++visit) {
    const uint32_t here = slot;
    slot = Step(slot, walk.stride);
    if (kPrefetch) {
      __builtin_prefetch(&best_[ahead], 1);
      ahead = Step(ahead, walk.stride);
    }
    if (IsSettled(here)) continue;
    const uint64_t bid = Bid(walk, times_[visit], walker.position);
    const uint64_t best = best_[here];
    if (bid > best) continue;
    best_[here] = bid;
    --missing;
    if (best == kNoBid) {
      taken_.push_back(here);
    } else {
      --walkers_[PositionOf(best)].owned;
      losers_.push_back(PositionOf(best));
    }
  }
  walker.slot = slot;
  walker.visit = visit;
  walker.owned = walker.share - missing;
}

void Matching::WalkAll(std::span<const uint16_t> positions) {
  if (ring_size_ < kPrefetchRingSize) {
    for (const uint16_t position : positions) WalkOn<false>(walkers_[position]);
  } else {
    for (const uint16_t position : positions) WalkOn<true>(walkers_[position]);
  }
}

void Matching::RunSlice(uint64_t end) {
  uint32_t latest = 0;
  for (const uint16_t position : unserved_) {
    Walker& walker = walkers_[position];
    walker.slice_end = VisitTimeAt(walker.walk, end);
    latest = std::max(latest, walker.slice_end);
  }
  times_.ExtendTo(latest);
  WalkAll(unserved_);
  while (!losers_.empty()) {
    std::swap(losers_, again_);
    losers_.clear();
    WalkAll(again_);
  }
  free_ -= static_cast<uint32_t>(taken_.size());
  for (const uint32_t slot : taken_) settled_[slot / 64] |= uint64_t{1} << (slot % 64);
  taken_.clear();
  std::erase_if(unserved_, [&](uint16_t position) { return walkers_[position].owned == walkers_[position].share; });
}

std::vector<uint16_t> Matching::Owners() {
  std::vector<uint16_t> owners(ring_size_);
  std::vector<uint32_t> free_slots;
  for (uint32_t slot = 0; slot < ring_size_; ++slot) {
    owners[slot] = PositionOf(best_[slot]);
    if (best_[slot] == kNoBid) free_slots.push_back(slot);
  }
  if (free_slots.empty()) return owners;
  Endgame endgame(ring_size_, times_, std::move(free_slots));
  for (const uint16_t position : unserved_) {
    const Walker& walker = walkers_[position];
    endgame.AddReal(walker.walk, position, walker.share - walker.owned);
  }
  endgame.Finish(owners);
  return owners;
}

std::vector<uint16_t> Matching::Run() {
  uint64_t end = 0;
  while (!IsEndgame(free_, ring_size_)) {
    // Later slices are wider: few slots are free then, and visits collide rarely.
    end += std::max(slice_width_, end / 4);
    RunSlice(end);
  }
  return Owners();
}

}  // namespace

std::vector<uint16_t> MatchSlots(std::span<const Contender> contenders, uint32_t ring_size) {
  return Matching(contenders, ring_size).Run();
}

}  // namespace shunt::maglev

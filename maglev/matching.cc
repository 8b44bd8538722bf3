// SPDX-License-Identifier: Apache-2.0
//
// The stable matching, computed fast: see matching.h for what it is. Pure, any thread.
//
// Time is cut into slices. Inside a slice each real walks on alone, so that its state stays in registers; a visit
// that turns out to be earlier than that of the slot's present owner takes the slot over, and the real that lost it
// walks on. When no real moves any more the slice is over: no later visit can beat its owners, so its slots are marked
// settled in a bitmap that fits the first-level cache, and most later visits end at that bitmap.
// The widths of the slices change the speed and never the result.
#include "maglev/matching.h"

#include <algorithm>
#include <bit>
#include <memory_resource>
#include <utility>

#include "maglev/ring.h"
#include "maglev/walk.h"

namespace shunt::maglev {
namespace {

// A claim on a slot: the upper half is the moment of the visit, counted from the begin of the slice and rounded to 16
// bits; the lower half is the position of the owner. Half the size of an exact moment, so twice as many fit a cache;
// where the rounded moments are equal, Matching::IsEarlier finds out which visit came first.
using Claim = uint32_t;
constexpr Claim kFree = UINT32_MAX;

constexpr uint16_t OwnerOf(Claim claim) { return static_cast<uint16_t>(claim & 0xffff); }
static_assert(OwnerOf(kFree) == kNoReal);

// From this size on claims do not fit the second-level cache, and are fetched so many visits ahead.
constexpr uint32_t kPrefetchRingSize = 200000;
constexpr uint32_t kPrefetchVisits = 8;

struct Walker {
  Walk walk;
  uint32_t slot;       // of the next visit
  uint32_t visit;      // its number
  uint32_t slice_end;  // visits whose time is less than this belong to the present slice
  uint32_t missing;    // slots it still wants
};

// What a matching needs; if it should need more, the arena grows.
constexpr size_t kArenaBytesPerSlot = 2 * sizeof(uint32_t) + 2;
constexpr size_t kArenaBytesPerReal = sizeof(Walker) + 8 * sizeof(uint16_t);

class Matching {
 public:
  Matching(std::span<const Contender> contenders, uint32_t ring_size);
  std::vector<uint16_t> Run();

 private:
  void RunSlice(uint64_t begin, uint64_t end);
  void WalkAll(std::span<const uint16_t> positions);
  template <bool kPrefetch>
  void WalkOn(uint16_t position);
  bool IsEarlier(uint64_t moment, uint16_t position, uint32_t slot) const;

  uint32_t Step(uint32_t slot, uint32_t stride) const {
    slot += stride;
    return slot >= ring_size_ ? slot - ring_size_ : slot;
  }
  bool IsSettled(uint32_t slot) const { return (settled_[slot / 64] >> (slot % 64) & 1) != 0; }

  uint32_t ring_size_;
  uint64_t slice_width_;
  uint64_t slice_begin_ = 0;
  int slice_shift_ = 0;  // bits of a moment that a claim does not hold
  VisitTimes times_;
  std::pmr::monotonic_buffer_resource arena_;  // one block, which costs fewer page faults than many
  std::pmr::vector<Walker> walkers_;           // by position
  std::pmr::vector<uint16_t> unserved_;        // positions of reals that own less than their share
  std::pmr::vector<Claim> claims_;             // by slot
  std::pmr::vector<uint64_t> settled_;         // one bit a slot: the owner is final
  std::pmr::vector<uint32_t> taken_;           // slots that stopped being free in the present slice
  std::pmr::vector<uint16_t> losers_;          // positions of reals that lost a slot and must walk on
  std::pmr::vector<uint16_t> again_;           // the losers that are walking on now
};

Matching::Matching(std::span<const Contender> contenders, uint32_t ring_size)
    : ring_size_(ring_size),
      times_(ring_size),
      arena_(ring_size * kArenaBytesPerSlot + contenders.size() * kArenaBytesPerReal),
      walkers_(&arena_),
      unserved_(&arena_),
      claims_(ring_size, kFree, &arena_),
      settled_(ring_size / 64 + 1, 0, &arena_),
      taken_(&arena_),
      losers_(&arena_),
      again_(&arena_) {
  taken_.reserve(ring_size);
  uint64_t sum = 0;
  walkers_.reserve(contenders.size());
  unserved_.reserve(contenders.size());
  for (const Contender& contender : contenders) {
    const Walk walk = MakeWalk(contender.id_hash, contender.weight, ring_size);
    if (contender.share != 0) unserved_.push_back(static_cast<uint16_t>(walkers_.size()));
    walkers_.push_back({walk, walk.first_slot, 0, 0, contender.share});
    sum += contender.weight;
  }
  // In 2^44 / sum all reals together make about ring_size visits. A slice is an eighth of that, or four visits a real.
  const uint64_t eighths = std::max<uint64_t>(1, 32 * contenders.size() / ring_size);
  slice_width_ = std::max<uint64_t>(1, (uint64_t{1} << 41) / sum * eighths);
}

// Whether the visit at `moment` comes before the one by which `slot` got its owner, in the present slice.
bool Matching::IsEarlier(uint64_t moment, uint16_t position, uint32_t slot) const {
  const uint16_t owner = OwnerOf(claims_[slot]);
  const Walker& walker = walkers_[owner];
  uint32_t visit = walker.visit;
  for (uint32_t there = walker.slot; there != slot; --visit) {
    there = Step(there, ring_size_ - walker.walk.stride);
  }
  const uint64_t owner_moment = MomentOf(walker.walk, times_[visit]);
  return moment != owner_moment ? moment < owner_moment : position < owner;
}

template <bool kPrefetch>
void Matching::WalkOn(uint16_t position) {
  Walker& walker = walkers_[position];
  const Walk walk = walker.walk;
  uint32_t slot = walker.slot;
  uint32_t visit = walker.visit;
  uint32_t missing = walker.missing;
  uint32_t ahead = 0;
  if (kPrefetch) ahead = static_cast<uint32_t>((slot + uint64_t{walk.stride} * kPrefetchVisits) % ring_size_);
  for (; missing != 0 && times_[visit] < walker.slice_end; ++visit) {
    const uint32_t here = slot;
    slot = Step(slot, walk.stride);
    if (kPrefetch) {
      __builtin_prefetch(&claims_[ahead], 1);
      ahead = Step(ahead, walk.stride);
    }
    if (IsSettled(here)) continue;
    const uint64_t moment = MomentOf(walk, times_[visit]);
    const Claim claim = static_cast<Claim>((moment - slice_begin_) >> slice_shift_) << 16 | position;
    const Claim present = claims_[here];
    if (present == kFree) {
      taken_.push_back(here);
    } else {
      const bool wins = claim >> 16 != present >> 16 ? claim < present : IsEarlier(moment, position, here);
      if (!wins) continue;
      ++walkers_[OwnerOf(present)].missing;
      losers_.push_back(OwnerOf(present));
    }
    claims_[here] = claim;
    --missing;
  }
  walker.slot = slot;
  walker.visit = visit;
  walker.missing = missing;
}

void Matching::WalkAll(std::span<const uint16_t> positions) {
  if (ring_size_ < kPrefetchRingSize) {
    for (const uint16_t position : positions) WalkOn<false>(position);
  } else {
    for (const uint16_t position : positions) WalkOn<true>(position);
  }
}

void Matching::RunSlice(uint64_t begin, uint64_t end) {
  slice_begin_ = begin;
  slice_shift_ = std::max(0, static_cast<int>(std::bit_width(end - begin)) - 16);
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
  for (const uint32_t slot : taken_) settled_[slot / 64] |= uint64_t{1} << (slot % 64);
  taken_.clear();
  std::erase_if(unserved_, [&](uint16_t position) { return walkers_[position].missing == 0; });
}

std::vector<uint16_t> Matching::Run() {
  for (uint64_t begin = 0; !unserved_.empty();) {
    // Later slices are wider: few slots are free then, and visits collide rarely.
    const uint64_t end = begin + std::max(slice_width_, begin / 4);
    RunSlice(begin, end);
    begin = end;
  }
  std::vector<uint16_t> owners(ring_size_);
  std::transform(claims_.begin(), claims_.end(), owners.begin(), OwnerOf);
  return owners;
}

}  // namespace

std::vector<uint16_t> MatchSlots(std::span<const Contender> contenders, uint32_t ring_size) {
  return Matching(contenders, ring_size).Run();
}

}  // namespace shunt::maglev

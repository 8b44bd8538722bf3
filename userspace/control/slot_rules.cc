// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/slot_rules.h"

#include <algorithm>
#include <utility>

namespace shunt {
namespace {

// A slot whose flows may all be remembered, for any real. Without a current real some other has to stand as the
// previous one, or the flow table would not be asked.
RingSlot AskTable(uint16_t current, const ServingReals& serving) {
  return {.current_real = current, .previous_real = current != 0 ? current : serving.any()};
}

// Why a slot of the new ring cannot follow from the slot of the same number.
enum class Origin {
  kNone,        // there was no ring, and no flow is remembered
  kSameSlots,   // it does follow
  kOtherSlots,  // flows belong to other slots than before, and none is remembered
  kRemembered,  // the same, or everything was remembered: remembered flows may go anywhere
};

Origin OriginOf(const PlannedVip* before, const RingChange& change) {
  if (before == nullptr) return Origin::kNone;
  if (before->entry.tracking == Tracking::kAll) return Origin::kRemembered;
  if (before->ring->empty()) return Origin::kNone;
  const bool same_size = change.current_reals.empty() || before->ring->size() == change.current_reals.size();
  if (same_size && before->entry.flow_hash_key == change.flow_hash_key) return Origin::kSameSlots;
  return before->unsettled.empty() ? Origin::kOtherSlots : Origin::kRemembered;
}

size_t SlotsOf(const PlannedVip* before, const RingChange& change, Origin origin) {
  if (!change.current_reals.empty()) return change.current_reals.size();
  if (change.tracking != Tracking::kMoving || change.serving.any() == 0 || origin == Origin::kNone) return 0;
  return before->ring->empty() ? change.ring_size : before->ring->size();
}

RingSlot NewSlot(const RingSlot* before, uint16_t current, const RingChange& change, Origin origin) {
  if (change.tracking != Tracking::kMoving) return {.current_real = current, .previous_real = 0};
  switch (origin) {
    case Origin::kSameSlots:
      return ChangeSlot(*before, current, change.serving);
    case Origin::kRemembered:
      return AskTable(current, change.serving);
    case Origin::kOtherSlots:
      if (current == 0) return AskTable(current, change.serving);
      break;
    case Origin::kNone:
      break;
  }
  return {.current_real = current, .previous_real = 0};
}

bool SameReals(const RingSlot& a, const RingSlot& b) {
  return a.current_real == b.current_real && a.previous_real == b.previous_real;
}

}  // namespace

ServingReals::ServingReals(const std::map<uint16_t, RealEntry>& reals) {
  if (!reals.empty()) serves_.resize(reals.rbegin()->first + 1u);
  for (const auto& [index, real] : reals) {
    if (!real.serves) continue;
    serves_[index] = true;
    if (lowest_ == 0) lowest_ = index;
  }
}

RingSlot ChangeSlot(RingSlot slot, uint16_t current, const ServingReals& serving) {
  const uint16_t old = slot.current_real;
  const bool has_exceptions = slot.previous_real != 0;  // remembered flows may go elsewhere
  if (has_exceptions && !serving.Has(slot.previous_real)) slot = {.current_real = old, .previous_real = old};
  const bool is_moving = slot.previous_real != 0 && slot.previous_real != old;
  if (current == old && (current != 0 || is_moving)) return slot;
  // What is not remembered belongs to the previous real of a moving slot, else to the current one.
  const uint16_t heir = is_moving ? slot.previous_real : old;
  if (serving.Has(heir)) {
    return {.current_real = current, .previous_real = heir, .hold = current != 0 && current != heir};
  }
  return has_exceptions ? AskTable(current, serving) : RingSlot{.current_real = current, .previous_real = 0};
}

RingState ChangeRing(const PlannedVip* before, const RingChange& change) {
  const Origin origin = OriginOf(before, change);
  const size_t slots = SlotsOf(before, change, origin);
  Ring ring;
  ring.reserve(slots);
  RingState state;
  const std::span<const UnsettledSlot> known =
      before == nullptr ? std::span<const UnsettledSlot>() : std::span(before->unsettled);
  auto at = known.begin();
  for (uint32_t i = 0; i < slots; ++i) {
    const RingSlot* old = origin == Origin::kSameSlots ? &(*before->ring)[i] : nullptr;
    const RingSlot slot =
        NewSlot(old, change.current_reals.empty() ? uint16_t{0} : change.current_reals[i], change, origin);
    ring.push_back(slot);
    if (slot.previous_real == 0) continue;
    while (at != known.end() && at->slot < i) ++at;
    const bool is_known = at != known.end() && at->slot == i && old != nullptr && SameReals(*old, slot);
    state.unsettled.push_back({.slot = i, .changed_at = is_known ? at->changed_at : change.now});
  }
  const bool is_same = before != nullptr && *before->ring == ring;
  state.ring = is_same ? before->ring : std::make_shared<const Ring>(std::move(ring));
  return state;
}

}  // namespace shunt

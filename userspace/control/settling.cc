// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/settling.h"

#include <algorithm>
#include <utility>

#include "userspace/dataplane/flow_hash.h"

namespace shunt {
namespace {

using std::chrono::seconds;

enum class SlotState { kStable, kSettled, kMoving };

SlotState StateOf(const RingSlot& slot) {
  if (slot.previous_real == 0) return SlotState::kStable;
  return IsMoving(slot) ? SlotState::kMoving : SlotState::kSettled;
}

SteadyTime SettlesAt(const UnsettledSlot& unsettled, seconds settle, std::optional<SteadyTime> last_refusal) {
  return std::max(unsettled.changed_at, last_refusal.value_or(SteadyTime::min())) + settle;
}

RingSlot SettleSlot(RingSlot slot, const UnsettledSlot& unsettled, const SettleInputs& inputs) {
  const SettleTimes& times = inputs.times;
  if (StateOf(slot) == SlotState::kSettled) {
    const bool seen_whole = inputs.pass != nullptr && unsettled.changed_at < inputs.pass->begun;
    if (seen_whole && !inputs.pass->exceptions.contains(unsettled.slot)) slot.previous_real = 0;
    return slot;
  }
  if (slot.current_real == 0) return slot;  // its flows have nowhere else to go
  if (inputs.now >= SettlesAt(unsettled, times.settle, inputs.last_refusal)) {
    return {.current_real = slot.current_real, .previous_real = slot.current_real};
  }
  if (times.hold && inputs.now >= unsettled.changed_at + *times.hold) slot.hold = false;
  return slot;
}

// Null: the slot is stable.
const UnsettledSlot* FindUnsettled(const PlannedVip& vip, uint32_t slot) {
  const auto found = std::ranges::lower_bound(vip.unsettled, slot, {}, &UnsettledSlot::slot);
  return found != vip.unsettled.end() && found->slot == slot ? &*found : nullptr;
}

bool IsExpired(const FlowEntry& entry, const SettleTimes& times) {
  const seconds idle = seconds{entry.idle_seconds} - kStampLag;
  const bool is_brief = !entry.confirmed || entry.closing;
  return idle > times.idle || (is_brief && times.brief && idle > *times.brief);
}

}  // namespace

SettleTimes TimesOf(const VipKey& key, const VipSettings& settings, bool quic) {
  const seconds udp_idle{settings.udp_idle_seconds};
  // Every packet of plain UDP may be an old flow's, so all of them are held, and with the hold the slot settles.
  if (key.protocol == Protocol::kUdp && !quic) {
    return {.hold = std::nullopt, .settle = udp_idle, .idle = udp_idle, .brief = std::nullopt};
  }
  const seconds idle = quic ? udp_idle : seconds{settings.tcp_settle_seconds};
  return {.hold = kOpeningHold, .settle = std::max(idle, kOpeningHold), .idle = idle, .brief = kBriefIdle};
}

std::optional<SlotChanges> SettleSlots(const VipKey& key, const PlannedVip& vip, const SettleInputs& inputs) {
  const Ring& ring = *vip.ring;
  std::optional<SlotChanges> changes;
  std::shared_ptr<Ring> changed;
  std::vector<UnsettledSlot> unsettled;
  for (const UnsettledSlot& old : vip.unsettled) {
    const RingSlot slot = SettleSlot(ring[old.slot], old, inputs);
    const bool same_reals = slot.previous_real == ring[old.slot].previous_real;
    if (slot.previous_real != 0) unsettled.push_back({old.slot, same_reals ? old.changed_at : inputs.now});
    if (slot == ring[old.slot]) continue;
    if (!changed) {
      changed = std::make_shared<Ring>(ring);
      changes.emplace(SlotChanges{.vip = key, .vip_id = vip.entry.id, .ring = changed, .unsettled = {}, .slots = {}});
    }
    (*changed)[old.slot] = slot;
    changes->slots.push_back(old.slot);
  }
  if (changes) changes->unsettled = std::move(unsettled);
  return changes;
}

EntryJudgement JudgeEntry(const FlowEntry& entry, const PlannedVip& vip, const SettleTimes& times,
                          SteadyTime pass_begun) {
  const auto real = vip.reals.find(entry.flow.real_index);
  const bool serves = real != vip.reals.end() && real->second.serves;
  if (!serves || vip.entry.tracking == Tracking::kNone) return {.drop = true};
  EntryJudgement judgement{.drop = IsExpired(entry, times)};
  if (vip.entry.tracking != Tracking::kMoving || vip.ring->empty()) return judgement;
  const uint32_t slot =
      SlotOf(FlowHash(vip.entry.flow_hash_key, entry.flow.source, entry.flow.destination_port), vip.entry.ring_slots);
  switch (StateOf((*vip.ring)[slot])) {
    case SlotState::kStable:
      judgement.drop = true;  // nobody asks for it, and once somebody does it may be wrong
      break;
    case SlotState::kSettled:
      if ((*vip.ring)[slot].current_real != entry.flow.real_index) {
        judgement.exception = slot;
      } else if (const UnsettledSlot* unsettled = FindUnsettled(vip, slot)) {
        // A packet under way may have met the slot while it moved: a miss would take it to the previous real.
        judgement.drop |= unsettled->changed_at < pass_begun;
      }
      break;
    case SlotState::kMoving:
      break;
  }
  return judgement;
}

SlotProgress ProgressOf(const PlannedVip& vip, const SettleTimes& times, std::optional<SteadyTime> last_refusal,
                        SteadyTime now) {
  SlotProgress progress;
  progress.stable = static_cast<uint32_t>(vip.ring->size() - vip.unsettled.size());
  for (const UnsettledSlot& unsettled : vip.unsettled) {
    const RingSlot& slot = (*vip.ring)[unsettled.slot];
    if (StateOf(slot) == SlotState::kSettled) {
      ++progress.with_exceptions;
      continue;
    }
    ++progress.moving;
    if (slot.current_real == 0) continue;
    const auto left = std::chrono::ceil<seconds>(SettlesAt(unsettled, times.settle, last_refusal) - now);
    progress.settles_in = std::max(progress.settles_in.value_or(seconds{0}), left);
  }
  return progress;
}

}  // namespace shunt

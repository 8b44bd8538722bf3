// SPDX-License-Identifier: Apache-2.0
// What time does to the slots of one ring and to remembered flows, by the rules of tracking.md. Pure; called by the
// sweeper. Not here: reading the flow table (sweeper.h), what a change does to a slot (slot_rules.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "userspace/control/observation.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

// As the program has them (abi_limits.h).
inline constexpr std::chrono::seconds kOpeningHold{4};
inline constexpr std::chrono::seconds kBriefIdle{30};
inline constexpr std::chrono::seconds kStampLag{4};  // a flow may have been seen so much later than its entry says

// The times of one VIP.
struct SettleTimes {
  // Packets that open a flow go to the previous real for so long after a change; unset: until the slot settles.
  std::optional<std::chrono::seconds> hold;
  std::chrono::seconds settle{};              // after a change, and after the last refusal, until a slot stops moving
  std::chrono::seconds idle{};                // a flow that is silent for longer is forgotten
  std::optional<std::chrono::seconds> brief;  // the same of one that is not confirmed or closing; unset: as `idle`
};
SettleTimes TimesOf(const VipKey& key, const VipSettings& settings, bool quic);

// A pass over the whole flow table, as far as it tells whether the slots of one VIP have exceptions left.
struct PassResult {
  SteadyTime begun;                         // no packet is under way that met the slots as they were before
  std::unordered_set<uint32_t> exceptions;  // settled slots with an entry that names another real than the current
};

struct SlotChanges {
  VipKey vip;
  uint32_t vip_id = 0;
  std::shared_ptr<const Ring> ring;      // with the changes; never null
  std::vector<UnsettledSlot> unsettled;  // the same
  std::vector<uint32_t> slots;           // that changed
};

struct SettleInputs {
  SettleTimes times;
  std::optional<SteadyTime> last_refusal;  // not before it really was
  SteadyTime now;
  const PassResult* pass = nullptr;  // null: none has just ended
};

// Unset: every slot stays as it is.
std::optional<SlotChanges> SettleSlots(const VipKey& key, const PlannedVip& vip, const SettleInputs& inputs);

// What is to be done with an entry of the flow table whose VIP is `vip`, while a pass begun at `pass_begun` goes on.
struct EntryJudgement {
  bool drop = false;
  std::optional<uint32_t> exception{};  // the settled slot whose exception it is
};
EntryJudgement JudgeEntry(const FlowEntry& entry, const PlannedVip& vip, const SettleTimes& times,
                          SteadyTime pass_begun);

// The slots by state, and when the last one settles; the rest of the progress is the caller's.
SlotProgress ProgressOf(const PlannedVip& vip, const SettleTimes& times, std::optional<SteadyTime> last_refusal,
                        SteadyTime now);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What becomes of a VIP's slots when its ring changes: the rules of tracking.md for one slot and for a whole ring.
// Pure; called by the planner. Not here: which real a slot shall have (rings.h), what time does to a slot (settling.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

// The reals that stand in the plan's VIP and serve, by index; drained and weightless ones too.
class ServingReals {
 public:
  explicit ServingReals(const std::map<uint16_t, RealEntry>& reals);
  bool Has(uint16_t index) const { return index < serves_.size() && serves_[index]; }
  uint16_t any() const { return lowest_; }  // 0: none serves

 private:
  std::vector<bool> serves_;
  uint16_t lowest_ = 0;
};

// The slot of a VIP with tracking `moving` once `current` is to serve its new flows; 0: no real takes new flows.
RingSlot ChangeSlot(RingSlot slot, uint16_t current, const ServingReals& serving);

struct RingState {
  std::shared_ptr<const Ring> ring;      // never null
  std::vector<UnsettledSlot> unsettled;  // as in PlannedVip
};

struct RingChange {
  std::span<const uint16_t> current_reals;  // by slot; empty: no real takes new flows
  const ServingReals& serving;
  Tracking tracking = Tracking::kMoving;
  FlowHashKey flow_hash_key{};
  uint32_t ring_size = 0;  // as configured
  SteadyTime now;
};

// From the ring that `before` has (null: a new VIP) to the one it shall have. Shares the ring if it is the same.
RingState ChangeRing(const PlannedVip* before, const RingChange& change);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// VIP ids, real indices and ranges of the real table: who has which, and how long a freed one rests. Pure.
// Not here: what stands behind an id (planner.cc). Called by the planner, and by the controller after an undo.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/validate.h"

namespace shunt {

// A freed id, index or range is not handed out again for so long: packets under way and remembered flows may
// still name it.
inline constexpr std::chrono::seconds kRest{10};

// Hands out what the VIPs do not use and what does not rest.
class IdAllocator {
 public:
  IdAllocator(const std::map<VipKey, PlannedVip>& vips, const Resting& resting, const Capacities& capacities);

  Result<uint32_t> TakeVipId();                   // the lowest
  Result<uint32_t> TakeRange(uint32_t capacity);  // base of the first stretch that is long enough

 private:
  void Occupy(uint32_t base, uint32_t end);
  uint32_t LongestFree() const;

  Capacities capacities_;
  std::set<uint32_t> vip_ids_;             // not to be handed out
  uint32_t next_vip_id_ = 1;               // no lower one is free
  std::map<uint32_t, uint32_t> occupied_;  // base → end; neither overlapping nor touching
};

struct IndexAssignment {
  std::vector<uint16_t> indices;  // of the VIP's reals, in their order
  uint32_t capacity = 0;          // entries the range must have
};

// An index for each real: the one it has in `current` (null: a new VIP), else the lowest free one. The capacity
// grows where the indices that rest leave too few. kInvalid when kMaxRealIndex is not enough.
Result<IndexAssignment> AssignIndices(const Vip& vip, const PlannedVip* current, const Resting& resting);

void DropRested(Resting& resting, SteadyTime now);

// What `from` uses and `to` does not rests in `to` from now on.
void RestFreed(const Plan& from, Plan& to, SteadyTime now);

}  // namespace shunt

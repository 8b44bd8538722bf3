// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/planner.h"

#include <fmt/format.h>

#include <memory>
#include <span>
#include <utility>

#include "userspace/control/id_allocation.h"
#include "userspace/control/outer_header.h"
#include "userspace/control/rings.h"
#include "userspace/dataplane/flow_hash.h"

namespace shunt {
namespace {

// The program reads the VIP's entry first and a slot of its ring after. Both rings stand beside each other while the
// entry changes over, so that no slot is ever looked up with the size or the real_base of another ring.
uint32_t RingIndexOf(const VipEntry& entry, const VipEntry* before) {
  if (before == nullptr) return 2 * entry.id;
  const bool in_place = before->ring_slots == 0 || entry.ring_slots == 0 ||
                        (before->ring_slots == entry.ring_slots && before->real_base == entry.real_base);
  return in_place ? before->ring_index : before->ring_index ^ 1u;
}

Result<std::shared_ptr<const Ring>> PlanRing(const PlanRequest& request, const VipKey& key, const Vip& vip,
                                             std::span<const uint16_t> indices, const PlannedVip* current) {
  if (current != nullptr && request.made_from != nullptr && SameRing(*request.made_from, request.desired, key)) {
    return current->ring;
  }
  auto ring = MakeRing(vip, indices, EffectiveSettings(request.desired, vip).ring_size);
  if (!ring) return std::unexpected(ring.error());
  if (current != nullptr && *current->ring == *ring) return current->ring;
  return std::make_shared<const Ring>(std::move(*ring));
}

Result<PlannedVip> PlanVip(const PlanRequest& request, const VipKey& key, const Vip& vip, const PlannedVip* current,
                           const Resting& resting, IdAllocator& allocator) {
  const VipSettings settings = EffectiveSettings(request.desired, vip);
  const auto assignment = AssignIndices(vip, current, resting);
  if (!assignment) return std::unexpected(assignment.error());

  PlannedVip planned;
  VipEntry& entry = planned.entry;
  entry.tracking = settings.tracking;
  entry.flow_hash_key = DeriveFlowHashKey(request.desired.hash_key, key);
  const auto id = current != nullptr ? Result<uint32_t>(current->entry.id) : allocator.TakeVipId();
  if (!id) return std::unexpected(id.error());
  entry.id = *id;
  const bool fits = current != nullptr && assignment->capacity == current->entry.real_capacity;
  const auto base = fits ? Result<uint32_t>(current->entry.real_base) : allocator.TakeRange(assignment->capacity);
  if (!base) return std::unexpected(base.error());
  entry.real_base = *base;
  entry.real_capacity = assignment->capacity;

  auto ring = PlanRing(request, key, vip, assignment->indices, current);
  if (!ring) return std::unexpected(ring.error());
  planned.ring = std::move(*ring);
  entry.ring_slots = static_cast<uint32_t>(planned.ring->size());
  entry.ring_index = RingIndexOf(entry, current != nullptr ? &current->entry : nullptr);

  auto index = assignment->indices.begin();
  for (const auto& [address, real] : vip.reals) {
    planned.reals.emplace_hint(
        planned.reals.end(), *index++,
        MakeRealEntry(address, request.next_hops, request.desired.outer_source, settings.outer_ttl));
  }
  return planned;
}

}  // namespace

Result<Plan> MakePlan(const PlanRequest& request, const Plan& current) {
  Plan plan;
  plan.resting = current.resting;
  DropRested(plan.resting, request.now);
  IdAllocator allocator(current.vips, plan.resting, request.capacities);
  for (const auto& [key, vip] : request.desired.vips) {
    const auto found = current.vips.find(key);
    const PlannedVip* before = found == current.vips.end() ? nullptr : &found->second;
    auto planned = PlanVip(request, key, vip, before, plan.resting, allocator);
    if (!planned) return Context(fmt::format("planning vip {}", key.ToString()), planned.error());
    plan.vips.emplace_hint(plan.vips.end(), key, std::move(*planned));
  }
  RestFreed(current, plan, request.now);
  return plan;
}

}  // namespace shunt

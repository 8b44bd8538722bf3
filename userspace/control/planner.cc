// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "userspace/control/id_allocation.h"
#include "userspace/control/outer_header.h"
#include "userspace/control/rings.h"
#include "userspace/control/slot_rules.h"
#include "userspace/dataplane/flow_hash.h"

namespace shunt {
namespace {

// Every real that the slots may name still serves.
bool AllServe(const PlannedVip& vip, const ServingReals& serving) {
  return std::ranges::all_of(vip.reals, [&serving](const auto& real) { return serving.Has(real.first); });
}

Result<RingState> PlanRing(const PlanRequest& request, const VipKey& key, const Vip& vip, const VipEntry& entry,
                           std::span<const uint16_t> indices, const PlannedVip* current) {
  const ServingReals serving(indices);
  if (current != nullptr && request.made_from != nullptr && SameRing(*request.made_from, request.desired, key) &&
      AllServe(*current, serving)) {
    return RingState{current->ring, current->unsettled};
  }
  const uint32_t ring_size = EffectiveSettings(request.desired, vip).ring_size;
  const auto current_reals = MakeRing(vip, indices, ring_size);
  if (!current_reals) return std::unexpected(current_reals.error());
  return ChangeRing(current, {.current_reals = *current_reals,
                              .serving = serving,
                              .tracking = entry.tracking,
                              .flow_hash_key = entry.flow_hash_key,
                              .ring_size = ring_size,
                              .now = request.now});
}

Result<PlannedVip> PlanVip(const PlanRequest& request, const VipKey& key, const Vip& vip, const PlannedVip* current,
                           const Resting& resting, IdAllocator& allocator) {
  const VipSettings settings = EffectiveSettings(request.desired, vip);
  const auto assignment = AssignIndices(vip, current, resting);
  if (!assignment) return std::unexpected(assignment.error());

  PlannedVip planned;
  VipEntry& entry = planned.entry;
  entry.tracking = settings.tracking;
  entry.quic = vip.quic;
  entry.flow_hash_key = DeriveFlowHashKey(request.desired.hash_key, key);
  const auto id = current != nullptr ? Result<uint32_t>(current->entry.id) : allocator.TakeVipId();
  if (!id) return std::unexpected(id.error());
  entry.id = *id;
  const bool fits = current != nullptr && assignment->capacity == current->entry.real_capacity;
  const auto base = fits ? Result<uint32_t>(current->entry.real_base) : allocator.TakeRange(assignment->capacity);
  if (!base) return std::unexpected(base.error());
  entry.real_base = *base;
  entry.real_capacity = assignment->capacity;

  auto ring = PlanRing(request, key, vip, entry, assignment->indices, current);
  if (!ring) return std::unexpected(ring.error());
  planned.ring = std::move(ring->ring);
  planned.unsettled = std::move(ring->unsettled);
  entry.ring_slots = static_cast<uint32_t>(planned.ring->size());

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

std::vector<std::string> MovedFlows(const Plan& before, const Plan& after) {
  std::vector<std::string> lines;
  for (const auto& [key, vip] : after.vips) {
    const auto found = before.vips.find(key);
    if (found == before.vips.end() || found->second.ring->empty() || vip.ring->empty()) continue;
    const PlannedVip& old = found->second;
    const bool all = old.entry.tracking == Tracking::kAll;
    if (old.entry.flow_hash_key != vip.entry.flow_hash_key) {
      lines.push_back(fmt::format("vip {}: another hash key moves flows to other reals", key.ToString()));
    } else if (!all && old.entry.ring_slots != vip.entry.ring_slots) {
      lines.push_back(fmt::format("vip {}: another ring size moves flows to other reals", key.ToString()));
    } else if ((all && vip.entry.tracking == Tracking::kNone) ||
               (!old.unsettled.empty() && vip.entry.tracking != Tracking::kMoving)) {
      lines.push_back(fmt::format(
          "vip {}: another tracking while its flows were remembered may move them to other reals", key.ToString()));
    }
  }
  return lines;
}

}  // namespace shunt

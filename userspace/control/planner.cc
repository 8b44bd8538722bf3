// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "userspace/control/id_allocation.h"
#include "userspace/control/outer_header.h"
#include "userspace/control/rings.h"
#include "userspace/control/slot_rules.h"
#include "userspace/dataplane/flow_hash.h"

namespace shunt {
namespace {

// Every real that the slots of `before` may name still serves.
bool AllServe(const PlannedVip& before, const ServingReals& serving) {
  return std::ranges::all_of(before.reals,
                             [&serving](const auto& real) { return !real.second.serves || serving.Has(real.first); });
}

// The slots have the same current reals in both, and are tracked alike.
bool SameRing(const PlannedVip& before, const PlannedVip& after, uint32_t ring_size) {
  return before.members && *before.members == *after.members && before.ring->size() == ring_size &&
         before.entry.tracking == after.entry.tracking && before.entry.flow_hash_key == after.entry.flow_hash_key;
}

Status PlanRing(SteadyTime now, uint32_t ring_size, const PlannedVip* current, PlannedVip& planned) {
  const ServingReals serving(planned.reals);
  if (current != nullptr && SameRing(*current, planned, ring_size) && AllServe(*current, serving)) {
    planned.ring = current->ring;
    planned.unsettled = current->unsettled;
    return {};
  }
  const auto current_reals = MakeRing(*planned.members, planned.reals, ring_size);
  if (!current_reals) return std::unexpected(current_reals.error());
  RingState state = ChangeRing(current, {.current_reals = *current_reals,
                                         .serving = serving,
                                         .tracking = planned.entry.tracking,
                                         .flow_hash_key = planned.entry.flow_hash_key,
                                         .ring_size = ring_size,
                                         .now = now});
  planned.ring = std::move(state.ring);
  planned.unsettled = std::move(state.unsettled);
  return {};
}

Result<PlannedVip> PlanVip(const PlanRequest& request, const VipKey& key, const Vip& vip, const PlannedVip* current,
                           const Resting& resting, IdAllocator& allocator) {
  const VipSettings settings = EffectiveSettings(request.desired, vip);
  const std::vector<RealWeight>& weights = request.weights.at(key).reals;
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

  size_t position = 0;
  for (const auto& [address, real] : vip.reals) {
    RealEntry& planned_real = planned.reals[assignment->indices[position]];
    planned_real = MakeRealEntry(address, request.next_hops, request.desired.outer_source, settings.outer_ttl);
    planned_real.serves = weights[position].serves;
    ++position;
  }
  planned.members = MembersOf(weights, assignment->indices);
  if (auto ring = PlanRing(request.now, settings.ring_size, current, planned); !ring) {
    return std::unexpected(ring.error());
  }
  entry.ring_slots = static_cast<uint32_t>(planned.ring->size());
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
    if (before != nullptr && request.reweighed != nullptr && !request.reweighed->contains(key)) {
      plan.vips.emplace_hint(plan.vips.end(), key, *before);
      continue;
    }
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

// SPDX-License-Identifier: Apache-2.0
// The flow table of memory_dataplane.h: where each entry stands, so that a reader who goes from place to place misses
// none, and which one gives way. What a packet does to it is packet_model.cc's matter.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "userspace/dataplane/memory_dataplane.h"

namespace shunt {
namespace {

constexpr uint32_t kLongestIdleSeconds = 32767;

RememberedFlow FlowOf(const std::pair<const FlowKey, TrackedFlow>& entry) {
  const auto& [vip_id, source, destination_port] = entry.first;
  return {vip_id, source, destination_port, entry.second.real_index};
}

}  // namespace

uint64_t MemoryDataplane::Place::Word() const { return uint64_t{tenancy} << 32 | (*flow)->second.changes; }

void MemoryDataplane::TellTime() {
  const uint32_t now_s = now_s_();
  if (now_s != tables_.now_s) entries_made_ = 0;
  tables_.now_s = now_s;
  tables_.has_room = !free_places_.empty() || places_.size() < capacities_.max_flows;
  tables_.has_allowance = entries_made_ < flow_entries_per_second_;
}

void MemoryDataplane::Remember(const Walk& walk) {
  const FlowKey key = FlowOf(walk);
  if (tables_.flows.contains(key)) return Apply(walk, tables_);
  if (tables_.vips.at(*walk.vip).tracking != Tracking::kAll) ++entries_made_;
  if (!tables_.has_room) ForgetSilentLongest();
  Apply(walk, tables_);
  if (free_places_.empty()) {
    free_places_.push_back(places_.size());
    places_.emplace_back();
  }
  Place& place = places_[free_places_.back()];
  free_places_.pop_back();
  place.flow = tables_.flows.find(key);
  ++place.tenancy;
}

MemoryDataplane::Place& MemoryDataplane::PlaceOf(const FlowKey& flow) {
  return *std::ranges::find_if(places_,
                               [&flow](const Place& place) { return place.flow && (*place.flow)->first == flow; });
}

void MemoryDataplane::Forget(Place& place) {
  tables_.flows.erase(*place.flow);
  place.flow.reset();
  free_places_.push_back(static_cast<uint64_t>(&place - places_.data()));
}

// Tracking all: the kernel's table forgets one of the new flow's line, this one any.
void MemoryDataplane::ForgetSilentLongest() {
  Forget(*std::ranges::min_element(places_, {}, [](const Place& place) { return (*place.flow)->second.seen_s; }));
}

uint64_t MemoryDataplane::flow_places() const { return capacities_.max_flows; }

Result<std::vector<FlowEntry>> MemoryDataplane::ReadFlowEntries(uint64_t first_place, uint64_t places) {
  const std::lock_guard lock(mutex_);
  const uint32_t now_s = now_s_();
  std::vector<FlowEntry> entries;
  for (uint64_t i = first_place; i < places_.size() && i - first_place < places; ++i) {
    const Place& place = places_[i];
    if (!place.flow) continue;
    const TrackedFlow& flow = (*place.flow)->second;
    entries.push_back({.ref = {i, place.Word()},
                       .flow = FlowOf(**place.flow),
                       .idle_seconds = std::min(now_s - flow.seen_s, kLongestIdleSeconds),
                       .confirmed = flow.confirmed,
                       .closing = flow.closing});
  }
  return entries;
}

Result<size_t> MemoryDataplane::DropFlows(std::span<const FlowRef> flows) {
  const std::lock_guard lock(mutex_);
  for (const FlowRef& flow : flows) {
    if (flow.place < capacities_.max_flows) continue;
    return Fail(ErrorKind::kInvalid, fmt::format("dropping remembered flows: place {} of {}; read the flow again",
                                                 flow.place, capacities_.max_flows));
  }
  size_t dropped = 0;
  for (const FlowRef& flow : flows) {
    if (flow.place >= places_.size()) continue;
    Place& place = places_[flow.place];
    if (!place.flow || place.Word() != flow.word) continue;
    Forget(place);
    ++dropped;
  }
  return dropped;
}

Result<std::vector<RememberedFlow>> MemoryDataplane::ReadFlows(size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<RememberedFlow> flows;
  for (const auto& entry : tables_.flows) {
    if (flows.size() >= limit) break;
    flows.push_back(FlowOf(entry));
  }
  return flows;
}

Status MemoryDataplane::ForgetFlowsExcept(const Plan& plan) {
  const std::lock_guard lock(mutex_);
  std::set<std::pair<uint32_t, uint16_t>> kept;  // VIP id and index
  for (const auto& [key, vip] : plan.vips)
    for (const auto& [index, real] : vip.reals)
      if (real.serves) kept.emplace(vip.entry.id, index);
  for (Place& place : places_) {
    if (!place.flow) continue;
    const RememberedFlow flow = FlowOf(**place.flow);
    if (!kept.contains({flow.vip_id, flow.real_index})) Forget(place);
  }
  return {};
}

Result<std::vector<Refusals>> MemoryDataplane::ReadRefusals(std::span<const uint32_t> vip_ids) {
  const std::lock_guard lock(mutex_);
  const uint32_t now_s = now_s_();
  std::vector<Refusals> refusals;
  for (const uint32_t id : vip_ids) {
    if (id > capacities_.max_vips) {
      return Fail(ErrorKind::kInvalid, fmt::format("reading refusals: number {} of {} VIP ids; raise the capacity", id,
                                                   uint64_t{capacities_.max_vips} + 1));
    }
    const auto found = tables_.refusals.find(id);
    refusals.push_back(found == tables_.refusals.end() ? Refusals{}
                                                       : Refusals{found->second.count, now_s - found->second.last_s});
  }
  return refusals;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// KernelDataplane's flow table and refusals, through mapped memory.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {

FlowTableMemory KernelDataplane::Impl::Flows() const { return {flow_table.values(), flow_keys.values()}; }

std::shared_ptr<const FlowHashKeys> KernelDataplane::Impl::HashKeys() {
  const std::scoped_lock lock(tables_mutex);
  return hash_keys;
}

uint64_t KernelDataplane::flow_places() const { return impl_->flow_table.values().size() * SHUNT_FLOWS_PER_LINE; }

Result<std::vector<FlowEntry>> KernelDataplane::ReadFlowEntries(uint64_t first_place, uint64_t places) {
  const auto hash_keys = impl_->HashKeys();
  const FlowTableMemory table = impl_->Flows();
  const uint64_t first = std::min(first_place, flow_places());
  const uint64_t end = first + std::min(places, flow_places() - first);
  std::vector<FlowEntry> entries;
  for (uint64_t place = first; place < end; ++place)
    if (auto entry = ReadFlowPlace(table, place, *hash_keys)) entries.push_back(*entry);
  return entries;
}

Result<size_t> KernelDataplane::DropFlows(std::span<const FlowRef> flows) {
  for (const FlowRef& flow : flows) {
    if (flow.place < flow_places()) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("dropping the flow at place {}: the flow table has {}", flow.place, flow_places()));
  }
  const FlowTableMemory table = impl_->Flows();
  return static_cast<size_t>(
      std::ranges::count_if(flows, [&](const FlowRef& flow) { return DropFlowPlace(table, flow); }));
}

Result<std::vector<RememberedFlow>> KernelDataplane::ReadFlows(size_t limit) {
  const auto hash_keys = impl_->HashKeys();
  const FlowTableMemory table = impl_->Flows();
  std::vector<RememberedFlow> flows;
  for (uint64_t place = 0; place < flow_places() && flows.size() < limit; ++place) {
    const auto entry = ReadFlowPlace(table, place, *hash_keys);
    if (entry && entry->flow.vip_id != 0) flows.push_back(entry->flow);
  }
  return flows;
}

// An entry that a packet touches meanwhile is read and dropped again: it must go.
Status KernelDataplane::ForgetFlowsExcept(const Plan& plan) {
  std::set<std::pair<uint32_t, uint16_t>> kept;  // VIP id and index
  for (const auto& [key, vip] : plan.vips)
    for (const auto& [index, real] : vip.reals)
      if (real.serves) kept.emplace(vip.entry.id, index);
  const auto hash_keys = impl_->HashKeys();
  const FlowTableMemory table = impl_->Flows();
  for (uint64_t place = 0; place < flow_places(); ++place) {
    for (auto entry = ReadFlowPlace(table, place, *hash_keys); entry; entry = ReadFlowPlace(table, place, *hash_keys)) {
      if (kept.contains({entry->flow.vip_id, entry->flow.real_index})) break;
      if (DropFlowPlace(table, entry->ref)) break;
    }
  }
  return {};
}

Result<std::vector<Refusals>> KernelDataplane::ReadRefusals(std::span<const uint32_t> vip_ids) {
  const auto all = impl_->vip_refusals.values();
  std::vector<Refusals> refusals;
  for (const uint32_t id : vip_ids) {
    if (id >= all.size()) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("reading the refusals of VIP id {}: ids run from 1 to {}", id, all.size() - 1));
    }
    Refusals& read = refusals.emplace_back();
    const uint32_t last_s = std::atomic_ref(all[id].last_s).load(std::memory_order_relaxed);
    read.count = std::atomic_ref(all[id].count).load(std::memory_order_relaxed);
    if (last_s != 0) read.seconds_ago = FlowClockSeconds() - last_s;
  }
  return refusals;
}

}  // namespace shunt

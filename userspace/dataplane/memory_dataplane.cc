// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/memory_dataplane.h"

#include <fmt/format.h>

#include <array>

#include "userspace/dataplane/verdict.h"

namespace shunt {
namespace {

constexpr size_t kEthernetBytes = 14;

using FlowKey = decltype(DataplaneTables::flows)::key_type;

void AddTo(Traffic& sum, const Traffic& more) {
  sum.packets += more.packets;
  sum.bytes += more.bytes;
  sum.new_flows += more.new_flows;
}

// `number` names a place that `doing` needs; places are numbered from 0.
Status CheckNumber(std::string_view doing, uint32_t number, uint64_t places, std::string_view what) {
  if (number < places) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("{}: number {} of {} {}; raise the capacity", doing, number, places, what));
}

// Two for each VIP id, of which 0 is never handed out.
uint64_t RingsFor(const Capacities& capacities) { return 2 * (uint64_t{capacities.max_vips} + 1); }

Status CheckVipIds(std::span<const uint32_t> ids, const Capacities& capacities) {
  for (const uint32_t id : ids) {
    if (auto valid = CheckNumber("VIP counters", id, uint64_t{capacities.max_vips} + 1, "VIP ids"); !valid)
      return valid;
  }
  return {};
}

Status CheckEntries(std::span<const uint32_t> entries, const Capacities& capacities) {
  for (const uint32_t entry : entries) {
    if (auto valid = CheckNumber("real counters", entry, capacities.max_reals, "entries"); !valid) return valid;
  }
  return {};
}

std::vector<Traffic> Look(const std::map<uint32_t, Traffic>& counters, std::span<const uint32_t> keys) {
  std::vector<Traffic> found;
  found.reserve(keys.size());
  for (const uint32_t key : keys) {
    const auto at = counters.find(key);
    found.push_back(at == counters.end() ? Traffic{} : at->second);
  }
  return found;
}

}  // namespace

MemoryDataplane::MemoryDataplane(const Capacities& capacities, uint32_t max_vlan_tags)
    : capacities_(capacities), max_vlan_tags_(max_vlan_tags) {
  for (const VerdictInfo& verdict : AllVerdicts()) verdicts_.push_back({.verdict = verdict.number});
}

Capacities MemoryDataplane::capacities() const { return capacities_; }

Result<Plan> MemoryDataplane::Read() {
  const std::lock_guard lock(mutex_);
  Plan plan;
  for (const auto& [key, entry] : tables_.vips) {
    // A ring that is missing or of another size is told as no ring, so that the next plan writes it.
    Ring ring;
    if (const auto found = tables_.rings.find(entry.ring_index);
        found != tables_.rings.end() && found->second.size() == entry.ring_slots) {
      ring = found->second;
    }
    PlannedVip& vip = plan.vips[key];
    vip.entry = entry;
    vip.entry.ring_slots = static_cast<uint32_t>(ring.size());
    vip.ring = std::make_shared<const Ring>(std::move(ring));
    const auto end = tables_.reals.lower_bound(entry.real_base + entry.real_capacity);
    for (auto real = tables_.reals.upper_bound(entry.real_base); real != end; ++real) {
      vip.reals[static_cast<uint16_t>(real->first - entry.real_base)] = real->second;
    }
  }
  return plan;
}

Status MemoryDataplane::SetReals(std::span<const RealWrite> reals) {
  const std::lock_guard lock(mutex_);
  for (const auto& [entry, real] : reals) {
    const std::string doing = fmt::format("writing real {} to entry {}", real.address.ToString(), entry);
    if (auto valid = CheckNumber(doing, entry, capacities_.max_reals, "entries of the real table"); !valid)
      return valid;
  }
  for (const auto& [entry, real] : reals) tables_.reals[entry] = real;
  return {};
}

Status MemoryDataplane::ClearReals(std::span<const uint32_t> entries) {
  const std::lock_guard lock(mutex_);
  for (const uint32_t entry : entries) {
    const std::string doing = fmt::format("clearing entry {}", entry);
    if (auto valid = CheckNumber(doing, entry, capacities_.max_reals, "entries of the real table"); !valid)
      return valid;
  }
  for (const uint32_t entry : entries) tables_.reals.erase(entry);
  return {};
}

Status MemoryDataplane::SetRings(std::span<const RingWrite> rings) {
  const std::lock_guard lock(mutex_);
  for (const auto& [ring_index, ring] : rings) {
    const std::string doing = fmt::format("writing ring {}", ring_index);
    if (auto valid = CheckNumber(doing, ring_index, RingsFor(capacities_), "rings"); !valid) return valid;
  }
  for (const auto& [ring_index, ring] : rings) {
    if (ring->empty()) {
      tables_.rings.erase(ring_index);  // no slots, no ring
    } else {
      tables_.rings[ring_index] = *ring;
    }
  }
  return {};
}

Status MemoryDataplane::RemoveRing(uint32_t ring_index) {
  const std::lock_guard lock(mutex_);
  const std::string doing = fmt::format("removing ring {}", ring_index);
  if (auto valid = CheckNumber(doing, ring_index, RingsFor(capacities_), "rings"); !valid) return valid;
  tables_.rings.erase(ring_index);
  return {};
}

Status MemoryDataplane::SetVip(const VipKey& key, const VipEntry& entry) {
  const std::lock_guard lock(mutex_);
  const std::string doing = fmt::format("writing VIP {}", key.ToString());
  if (entry.id == 0) return Fail(ErrorKind::kInvalid, doing + ": id 0 stands for no VIP");
  if (auto valid = CheckNumber(doing, entry.id, uint64_t{capacities_.max_vips} + 1, "VIP ids"); !valid) return valid;
  tables_.vips[key] = entry;
  return {};
}

Status MemoryDataplane::RemoveVip(const VipKey& key) {
  const std::lock_guard lock(mutex_);
  tables_.vips.erase(key);
  return {};
}

Status MemoryDataplane::SetAddress(const IpAddress& address, const AddressEntry& entry) {
  const std::lock_guard lock(mutex_);
  tables_.addresses[address] = entry;
  return {};
}

Status MemoryDataplane::RemoveAddress(const IpAddress& address) {
  const std::lock_guard lock(mutex_);
  tables_.addresses.erase(address);
  return {};
}

Status MemoryDataplane::ForgetFlowsExcept(const Plan& plan) {
  const std::lock_guard lock(mutex_);
  std::map<uint32_t, const PlannedVip*> vips;
  for (const auto& [key, vip] : plan.vips) vips[vip.entry.id] = &vip;
  std::erase_if(tables_.flows, [&](const auto& flow) {
    const auto vip = vips.find(std::get<0>(flow.first));
    return vip == vips.end() || !vip->second->reals.contains(flow.second);
  });
  return {};
}

Status MemoryDataplane::ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) {
  const std::lock_guard lock(mutex_);
  if (auto valid = CheckVipIds(vip_ids, capacities_); !valid) return valid;
  if (auto valid = CheckEntries(entries, capacities_); !valid) return valid;
  for (const uint32_t id : vip_ids) vip_traffic_.erase(id);
  for (const uint32_t entry : entries) real_traffic_.erase(entry);
  return {};
}

Status MemoryDataplane::CarryTraffic(uint32_t from, uint32_t to) {
  const std::lock_guard lock(mutex_);
  if (auto valid = CheckEntries(std::array{from, to}, capacities_); !valid) return valid;
  AddTo(real_traffic_[to], Traffic(real_traffic_[from]));
  return {};
}

Result<std::vector<Traffic>> MemoryDataplane::ReadVipTraffic(std::span<const uint32_t> vip_ids) {
  const std::lock_guard lock(mutex_);
  if (auto valid = CheckVipIds(vip_ids, capacities_); !valid) return std::unexpected(valid.error());
  return Look(vip_traffic_, vip_ids);
}

Result<std::vector<Traffic>> MemoryDataplane::ReadRealTraffic(std::span<const uint32_t> entries) {
  const std::lock_guard lock(mutex_);
  if (auto valid = CheckEntries(entries, capacities_); !valid) return std::unexpected(valid.error());
  return Look(real_traffic_, entries);
}

Result<std::vector<VerdictCount>> MemoryDataplane::ReadVerdicts() {
  const std::lock_guard lock(mutex_);
  return verdicts_;
}

Result<std::vector<RememberedFlow>> MemoryDataplane::ReadFlows(size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<RememberedFlow> flows;
  for (const auto& [flow, real_index] : tables_.flows) {
    if (flows.size() >= limit) break;
    const auto& [vip_id, source, destination_port] = flow;
    flows.push_back({vip_id, source, destination_port, real_index});
  }
  return flows;
}

Result<FrameResult> MemoryDataplane::RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) {
  if (frame.size() < kEthernetBytes) {
    return Fail(ErrorKind::kInvalid, fmt::format("running a frame of {} bytes: an Ethernet frame has {} or more",
                                                 frame.size(), kEthernetBytes));
  }
  const std::lock_guard lock(mutex_);
  Walk walk = WalkFrame(tables_, frame, ingress_ifindex, max_vlan_tags_);
  VerdictCount& verdict = verdicts_.at(walk.verdict - 1);
  verdict.packets += 1;
  verdict.bytes += frame.size();
  if (walk.counts_traffic) {
    const Traffic counted{1, walk.inner_bytes, walk.is_new_flow ? uint64_t{1} : uint64_t{0}};
    AddTo(vip_traffic_[walk.vip_id], counted);
    AddTo(real_traffic_[walk.real_entry], counted);
  }
  if (walk.remember) {
    // A full table forgets a flow for the new one: the kernel's one that it has not seen for long, this one any.
    const FlowKey key{walk.vip_id, walk.source, walk.destination_port};
    const bool full = !tables_.flows.empty() && tables_.flows.size() >= capacities_.max_flows;
    if (full && !tables_.flows.contains(key)) {
      tables_.flows.erase(tables_.flows.begin());
    }
    tables_.flows[key] = walk.real_index;
  }
  return FrameResult{walk.verdict, std::move(walk.frame)};
}

}  // namespace shunt

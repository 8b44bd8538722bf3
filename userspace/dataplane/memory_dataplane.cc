// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/memory_dataplane.h"

#include <fmt/format.h>

#include <ctime>
#include <set>
#include <string_view>
#include <tuple>

#include "userspace/dataplane/verdict.h"

namespace shunt {
namespace {

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

Status CheckVips(const Plan& plan, const Capacities& capacities) {
  std::set<uint32_t> ids;
  for (const auto& [key, vip] : plan.vips) {
    const auto& [entry, ring] = std::tie(vip.entry, *vip.ring);
    const std::string doing = fmt::format("setting VIP {}", key.ToString());
    if (entry.id == 0) return Fail(ErrorKind::kInvalid, doing + ": id 0 stands for no VIP");
    if (auto valid = CheckNumber(doing, entry.id, uint64_t{capacities.max_vips} + 1, "VIP ids"); !valid) return valid;
    if (!ids.insert(entry.id).second) {
      return Fail(ErrorKind::kInvalid, fmt::format("{}: another VIP has its id {} too", doing, entry.id));
    }
    if (ring.size() != entry.ring_slots) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("{}: its ring has {} slots, wanted {}", doing, ring.size(), entry.ring_slots));
    }
    if (uint64_t{entry.real_base} + entry.real_capacity > capacities.max_reals) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("{}: its reals end at entry {} of {}; raise the capacity", doing,
                              uint64_t{entry.real_base} + entry.real_capacity, capacities.max_reals));
    }
  }
  return {};
}

}  // namespace

uint32_t MonotonicSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint32_t>(now.tv_sec);
}

MemoryDataplane::MemoryDataplane(const Capacities& capacities, uint32_t max_vlan_tags, std::function<uint32_t()> now_s)
    : capacities_(capacities), max_vlan_tags_(max_vlan_tags), now_s_(std::move(now_s)) {
  for (const VerdictInfo& verdict : AllVerdicts()) verdicts_.push_back({.verdict = verdict.number});
}

void MemoryDataplane::set_flow_entries_per_second(uint32_t entries) {
  const std::lock_guard lock(mutex_);
  flow_entries_per_second_ = entries;
}

Capacities MemoryDataplane::capacities() const { return capacities_; }

Result<Plan> MemoryDataplane::Read() {
  const std::lock_guard lock(mutex_);
  Plan plan;
  for (const auto& [key, entry] : tables_.vips) {
    PlannedVip& vip = plan.vips[key];
    vip.entry = entry;
    vip.ring = tables_.rings.at(entry.id);
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

Status MemoryDataplane::SetVips(const Plan& plan) {
  if (auto valid = CheckVips(plan, capacities_); !valid) return valid;
  const std::lock_guard lock(mutex_);
  tables_.vips.clear();
  tables_.rings.clear();
  for (const auto& [key, vip] : plan.vips) {
    tables_.vips[key] = vip.entry;
    tables_.rings[vip.entry.id] = vip.ring;
  }
  tables_.addresses = AddressesOf(plan);
  return {};
}

Status MemoryDataplane::SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring,
                                 std::span<const uint32_t> slots) {
  const std::lock_guard lock(mutex_);
  const std::string doing = fmt::format("setting slots of VIP id {}", vip_id);
  const auto installed = tables_.rings.find(vip_id);
  if (installed == tables_.rings.end()) return Fail(ErrorKind::kInvalid, doing + ": there is no such VIP");
  if (ring->size() != installed->second->size()) {
    return Fail(ErrorKind::kInvalid, fmt::format("{}: the installed ring has {} slots, the new one {}", doing,
                                                 installed->second->size(), ring->size()));
  }
  Ring written = *installed->second;
  for (const uint32_t slot : slots) {
    if (slot >= written.size()) {
      return Fail(ErrorKind::kInvalid, fmt::format("{}: slot {} of {}", doing, slot, written.size()));
    }
    written[slot] = (*ring)[slot];
  }
  installed->second = std::make_shared<const Ring>(std::move(written));
  return {};
}

// Every frame is walked under the lock, so none is under way.
Status MemoryDataplane::Synchronize() { return {}; }

Status MemoryDataplane::ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) {
  const std::lock_guard lock(mutex_);
  if (auto valid = CheckVipIds(vip_ids, capacities_); !valid) return valid;
  if (auto valid = CheckEntries(entries, capacities_); !valid) return valid;
  for (const uint32_t id : vip_ids) {
    vip_traffic_.erase(id);
    tables_.refusals.erase(id);
  }
  for (const uint32_t entry : entries) {
    real_traffic_.erase(entry);
    for (FlowsSeen& seen : flows_seen_) seen.erase(entry);
  }
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

Result<std::vector<double>> MemoryDataplane::ReadFlowEstimates(std::span<const uint32_t> entries) {
  const std::lock_guard lock(mutex_);
  if (auto valid = CheckEntries(entries, capacities_); !valid) return std::unexpected(valid.error());
  std::vector<double> estimates;
  for (const uint32_t entry : entries) {
    std::unordered_set<uint64_t> flows;
    for (const FlowsSeen& seen : flows_seen_) {
      if (const auto found = seen.find(entry); found != seen.end())
        flows.insert(found->second.begin(), found->second.end());
    }
    estimates.push_back(static_cast<double>(flows.size()));
  }
  return estimates;
}

Status MemoryDataplane::TurnFlowEstimates() {
  const std::lock_guard lock(mutex_);
  flows_seen_[1] = std::exchange(flows_seen_[0], {});
  return {};
}

Result<FrameResult> MemoryDataplane::RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) {
  if (frame.size() < kEthernetBytes) {
    return Fail(ErrorKind::kInvalid, fmt::format("running a frame of {} bytes: an Ethernet frame has {} or more",
                                                 frame.size(), kEthernetBytes));
  }
  const std::lock_guard lock(mutex_);
  TellTime();
  Walk walk = WalkFrame(tables_, frame, ingress_ifindex, max_vlan_tags_, Steps::kOmit);
  VerdictCount& verdict = verdicts_.at(walk.verdict - 1);
  verdict.packets += 1;
  verdict.bytes += frame.size();
  if (walk.counts_traffic) {
    const Traffic counted{1, walk.inner_bytes, walk.is_new_flow ? uint64_t{1} : uint64_t{0}};
    AddTo(vip_traffic_[walk.vip_id], counted);
    AddTo(real_traffic_[walk.real_entry], counted);
    flows_seen_[0][walk.real_entry].insert(walk.flow_hash);
  }
  switch (walk.effect) {
    case FlowEffect::kRemember:
      Remember(walk);
      break;
    case FlowEffect::kForget:
      Forget(PlaceOf(FlowOf(walk)));
      break;
    default:
      Apply(walk, tables_);
  }
  return FrameResult{walk.verdict, std::move(walk.frame)};
}

Result<std::optional<std::vector<uint8_t>>> MemoryDataplane::Forward(std::span<const uint8_t> frame,
                                                                     uint32_t ingress_ifindex) {
  auto result = RunFrame(frame, ingress_ifindex);
  if (!result) return std::unexpected(result.error());
  const std::string_view action = VerdictOf(result->verdict).action;
  if (action != "XDP_TX" && action != "XDP_REDIRECT") return std::nullopt;
  return std::move(result->frame);
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// KernelDataplane's tables: VIPs, addresses, rings, reals and remembered flows.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "userspace/dataplane/encode.h"
#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

bool IsAddressEntry(const shunt_vip_key& key) { return key.protocol == 0; }

std::vector<shunt_ring_slot> EncodeRing(const Ring& ring) {
  std::vector<shunt_ring_slot> slots(ring.size());
  std::ranges::transform(ring, slots.begin(),
                         [](const RingSlot& slot) { return shunt_ring_slot{slot.current_real, slot.previous_real}; });
  return slots;
}

Ring DecodeRing(std::span<const shunt_ring_slot> slots) {
  Ring ring(slots.size());
  std::ranges::transform(slots, ring.begin(),
                         [](const shunt_ring_slot& slot) { return RingSlot{slot.current_real, slot.previous_real}; });
  return ring;
}

std::map<uint16_t, RealEntry> DecodeReals(std::span<const shunt_real> entries) {
  std::map<uint16_t, RealEntry> reals;
  for (size_t index = 1; index < entries.size(); ++index)
    if (auto real = DecodeReal(entries[index])) reals.emplace(static_cast<uint16_t>(index), *real);
  return reals;
}

Status CheckEntry(uint32_t entry, const Capacities& capacities) {
  if (entry < capacities.max_reals) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("writing real {}: the table has {} entries", entry, capacities.max_reals));
}

Status CheckRing(uint32_t ring_index, const Capacities& capacities) {
  if (ring_index < 2 * (capacities.max_vips + 1)) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("writing ring {}: there is room for {} VIPs, 2 rings each", ring_index, capacities.max_vips));
}

// The id is where the VIP counts and, twice, where its rings are.
Status CheckVipId(const VipKey& key, uint32_t id, const Capacities& capacities) {
  if (id > 0 && id <= capacities.max_vips) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("setting VIP {}: id {}; ids run from 1 to {}, the VIPs there is room for", key.ToString(), id,
                          capacities.max_vips));
}

}  // namespace

Status TidyAddresses(Dataplane& dataplane, const HashMap<shunt_vip_key, shunt_vip>& vips) {
  auto entries = vips.Read();
  if (!entries) return std::unexpected(entries.error());
  Plan plan;
  std::map<IpAddress, AddressEntry> present;
  for (const auto& [key, vip] : *entries) {
    if (IsAddressEntry(key)) {
      present[DecodeAddress(key.address)] = {(vip.flags & SHUNT_VIP_HAS_TCP) != 0,
                                             (vip.flags & SHUNT_VIP_HAS_UDP) != 0};
    } else {
      plan.vips[DecodeVipKey(key)];
    }
  }
  const auto wanted = AddressesOf(plan);
  for (const auto& [address, entry] : wanted) {
    if (const auto found = present.find(address); found != present.end() && found->second == entry) continue;
    if (auto set = dataplane.SetAddress(address, entry); !set) return set;
  }
  for (const auto& [address, entry] : present) {
    if (wanted.contains(address)) continue;
    if (auto removed = dataplane.RemoveAddress(address); !removed) return removed;
  }
  return {};
}

Result<Plan> KernelDataplane::Read() {
  auto entries = impl_->vips.Read();
  if (!entries) return Context("reading the data plane", entries.error());
  Plan plan;
  for (const auto& [key, vip] : *entries) {
    if (IsAddressEntry(key)) continue;
    PlannedVip& planned = plan.vips[DecodeVipKey(key)];
    planned.entry = DecodeVip(vip);
    Ring ring;
    if (planned.entry.ring_slots > 0) {
      auto slots = impl_->rings.Read(planned.entry.ring_index);
      if (!slots) return Context("reading the data plane", slots.error());
      if (*slots) ring = DecodeRing(**slots);
    }
    // Packets find no real in a ring that is missing, nor may they in one of another size: told as no ring, so that
    // the next plan writes it.
    if (ring.size() != planned.entry.ring_slots) ring.clear();
    planned.entry.ring_slots = static_cast<uint32_t>(ring.size());
    planned.ring = std::make_shared<const Ring>(std::move(ring));
    auto reals = impl_->reals.ReadRange(planned.entry.real_base, planned.entry.real_capacity);
    if (!reals) return Context("reading the data plane", reals.error());
    planned.reals = DecodeReals(*reals);
  }
  return plan;
}

Status KernelDataplane::SetReals(std::span<const RealWrite> writes) {
  std::vector<uint32_t> entries;
  std::vector<shunt_real> reals;
  for (const RealWrite& write : writes) {
    if (auto valid = CheckEntry(write.entry, capacities()); !valid) return valid;
    entries.push_back(write.entry);
    reals.push_back(EncodeReal(write.real));
  }
  return impl_->reals.Update(entries, reals);
}

Status KernelDataplane::ClearReals(std::span<const uint32_t> entries) {
  for (const uint32_t entry : entries)
    if (auto valid = CheckEntry(entry, capacities()); !valid) return valid;
  const std::vector<shunt_real> absent(entries.size());  // SHUNT_REAL_ABSENT is 0
  return impl_->reals.Update(entries, absent);
}

// Rings are swapped in by the batch: after each update of an array of maps the kernel waits until no packet reads what
// was there, some milliseconds, and for a batch it waits once.
Status KernelDataplane::SetRings(std::span<const RingWrite> writes) {
  constexpr size_t kBatch = 64;
  for (const RingWrite& write : writes)
    if (auto valid = CheckRing(write.ring_index, capacities()); !valid) return valid;
  for (size_t done = 0; done < writes.size(); done += kBatch) {
    std::vector<uint32_t> indices;
    std::vector<std::vector<shunt_ring_slot>> rings;
    for (const auto& [ring_index, ring] : writes.subspan(done, std::min(kBatch, writes.size() - done))) {
      if (ring->empty()) {
        if (auto removed = impl_->rings.Remove(ring_index); !removed) return removed;
      } else {
        indices.push_back(ring_index);
        rings.push_back(EncodeRing(*ring));
      }
    }
    if (auto set = impl_->rings.Set(indices, rings); !set) return Context("setting rings", set.error());
  }
  return {};
}

Status KernelDataplane::RemoveRing(uint32_t ring_index) {
  if (auto valid = CheckRing(ring_index, capacities()); !valid) return valid;
  return impl_->rings.Remove(ring_index);
}

Status KernelDataplane::SetVip(const VipKey& key, const VipEntry& entry) {
  if (auto valid = CheckVipId(key, entry.id, capacities()); !valid) return valid;
  auto set = impl_->vips.Update(EncodeVipKey(key), EncodeVip(entry));
  if (!set) return Context("setting VIP " + key.ToString(), set.error());
  return {};
}

Status KernelDataplane::RemoveVip(const VipKey& key) { return impl_->vips.Delete(EncodeVipKey(key)); }

Status KernelDataplane::SetAddress(const IpAddress& address, const AddressEntry& entry) {
  auto set = impl_->vips.Update(EncodeAddressKey(address), EncodeAddressEntry(entry));
  if (!set) return Context("setting address " + address.ToString(), set.error());
  return {};
}

Status KernelDataplane::RemoveAddress(const IpAddress& address) {
  return impl_->vips.Delete(EncodeAddressKey(address));
}

Status KernelDataplane::ForgetFlowsExcept(const Plan& plan) {
  std::set<std::pair<uint32_t, uint32_t>> kept;  // VIP id and index
  for (const auto& [key, vip] : plan.vips)
    for (const auto& [index, real] : vip.reals) kept.emplace(vip.entry.id, index);
  auto flows = impl_->flows.Read();
  if (!flows) return Context("forgetting flows", flows.error());
  std::vector<shunt_flow_key> gone;
  for (const auto& [key, flow] : *flows)
    if (!kept.contains({key.vip_id, flow.real})) gone.push_back(key);
  return impl_->flows.DeleteAll(gone);
}

Result<std::vector<RememberedFlow>> KernelDataplane::ReadFlows(size_t limit) {
  auto entries = impl_->flows.Read(limit);
  if (!entries) return Context("reading the flow table", entries.error());
  std::vector<RememberedFlow> flows;
  flows.reserve(entries->size());
  for (const auto& [key, flow] : *entries) {
    flows.push_back({key.vip_id,
                     {DecodeAddress(key.source), DecodePort(key.source_port)},
                     DecodePort(key.destination_port),
                     static_cast<uint16_t>(flow.real)});
  }
  return flows;
}

}  // namespace shunt

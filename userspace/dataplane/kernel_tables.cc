// SPDX-License-Identifier: Apache-2.0
// KernelDataplane's tables: VIPs, addresses, rings and reals.
//
// VIPs stand twice: one half of the table is in force, the next one is written into the other, with its new rings into
// ring memory that no VIP in force has. One word then makes it the half in force. What it replaced is written again
// only after Synchronize(): packets under way may still read it.
#include <fmt/format.h>
#include <shunt/abi_vip_table.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <utility>

#include "userspace/dataplane/encode.h"
#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

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

// The id is where the VIP counts; the ring, the reals and what they say of each other must fit.
Status CheckVip(const VipKey& key, const PlannedVip& vip, const Capacities& capacities) {
  const VipEntry& entry = vip.entry;
  const auto bad = [&](const std::string& why) {
    return Fail(ErrorKind::kInvalid, fmt::format("setting VIP {}: {}", key.ToString(), why));
  };
  if (entry.id == 0 || entry.id > capacities.max_vips) {
    return bad(fmt::format("id {}; ids run from 1 to {}, the VIPs there is room for", entry.id, capacities.max_vips));
  }
  if (vip.ring->size() != entry.ring_slots)
    return bad(fmt::format("its ring has {} slots, wanted {}", vip.ring->size(), entry.ring_slots));
  if (entry.real_base > capacities.max_reals || entry.real_capacity > capacities.max_reals - entry.real_base) {
    return bad(fmt::format("its reals are entries {} to {}; the table has {}", entry.real_base,
                           uint64_t{entry.real_base} + entry.real_capacity - 1, capacities.max_reals));
  }
  return {};
}

Status CheckVips(const Plan& plan, const Capacities& capacities) {
  std::set<uint32_t> ids;
  for (const auto& [key, vip] : plan.vips) {
    if (auto valid = CheckVip(key, vip, capacities); !valid) return valid;
    if (ids.insert(vip.entry.id).second) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("setting VIP {}: another VIP has its id {} too", key.ToString(), vip.entry.id));
  }
  return {};
}

std::vector<shunt_vip> EncodeVips(const Plan& plan, const InstalledVips& placed) {
  std::vector<shunt_vip> vips;
  for (const auto& [key, vip] : plan.vips)
    vips.push_back(EncodeVip(key, vip.entry, placed.at(vip.entry.id).range.first_line));
  for (const auto& [address, entry] : AddressesOf(plan)) vips.push_back(EncodeAddressEntry(address, entry));
  return vips;
}

bool IsAddressEntry(const shunt_vip& vip) { return vip.protocol == 0; }

}  // namespace

uint32_t KernelDataplane::Impl::HalfInForce() const { return control.values()[0].vip_table & SHUNT_VIP_TABLE_HALF; }

// A hash that kept the last VIPs apart will mostly keep the next ones apart, too.
uint32_t KernelDataplane::Impl::SeedInForce() const {
  return static_cast<uint32_t>(control.values()[0].vip_table >> 32);
}

std::span<shunt_vip> KernelDataplane::Impl::LinesOf(uint32_t half) const {
  return vip_table.values().subspan(size_t{half} * half_size.lines, half_size.lines);
}

Status KernelDataplane::Impl::Synchronize() {
  if (auto waited = rings.Synchronize(); !waited) return waited;
  packets_in_other_half = false;
  return {};
}

// Where the rings of a plan are to stand: those that did not change where they are, the others in `fresh` room,
// written.
Result<InstalledVips> KernelDataplane::Impl::PlaceRings(const Plan& plan, std::vector<RingRange>& fresh) {
  InstalledVips placed;
  std::vector<const VipKey*> changed;
  std::vector<uint32_t> slots_of_changed;
  for (const auto& [key, vip] : plan.vips) {
    InstalledVip& to = placed[vip.entry.id] = {vip.entry, {}, vip.ring};
    const auto before = installed.find(vip.entry.id);
    if (before != installed.end() && (before->second.ring == vip.ring || *before->second.ring == *vip.ring)) {
      to.range = before->second.range;
    } else if (!vip.ring->empty()) {
      changed.push_back(&key);
      slots_of_changed.push_back(vip.entry.ring_slots);
    }
  }
  if (auto reserved = rings.Reserve(slots_of_changed); !reserved) return Context("setting VIPs", reserved.error());
  for (const VipKey* key : changed) {
    const PlannedVip& vip = plan.vips.at(*key);
    auto range = rings.Take(vip.entry.ring_slots);
    if (!range) return Context("setting VIP " + key->ToString(), range.error());
    fresh.push_back(*range);
    placed[vip.entry.id].range = *range;
    rings.Write(*range, *vip.ring);
  }
  return placed;
}

void KernelDataplane::Impl::WriteHalf(uint32_t half, const VipTable& table) {
  const std::span<shunt_vip> lines = LinesOf(half);
  for (const uint32_t number : lines_of_half[half]) lines[number] = {};
  lines_of_half[half].clear();
  for (const auto& [number, vip] : table.lines) {
    lines[number] = vip;
    lines_of_half[half].push_back(number);
  }
  const size_t displacement_lines = half_size.groups / SHUNT_VIP_DISPLACEMENTS_PER_LINE;
  auto displacement = table.displacements.begin();
  for (shunt_vip_displacements& line :
       vip_displacements.values().subspan(half * displacement_lines, displacement_lines)) {
    std::copy_n(displacement, SHUNT_VIP_DISPLACEMENTS_PER_LINE, line.of);
    displacement += SHUNT_VIP_DISPLACEMENTS_PER_LINE;
  }
}

// `next` is in force: what it does not share with what was is given up.
void KernelDataplane::Impl::Adopt(InstalledVips next) {
  for (const auto& [id, vip] : installed) {
    const auto now = next.find(id);
    if (vip.range.lines > 0 && (now == next.end() || now->second.range != vip.range)) rings.Retire(vip.range);
  }
  installed = std::move(next);
  packets_in_other_half = true;
  NoteHashKeys();
}

void KernelDataplane::Impl::NoteHashKeys() {
  auto keys = std::make_shared<FlowHashKeys>(*hash_keys);
  keys->resize(size_t{options.capacities.max_vips} + 1);
  for (const auto& [id, vip] : installed) (*keys)[id] = vip.entry.flow_hash_key;
  hash_keys = std::move(keys);
}

Status KernelDataplane::SetVips(const Plan& plan) {
  const std::scoped_lock lock(impl_->tables_mutex);
  if (auto valid = CheckVips(plan, capacities()); !valid) return valid;
  if (impl_->packets_in_other_half)
    if (auto waited = impl_->Synchronize(); !waited) return waited;
  std::vector<RingRange> fresh;
  auto placed = impl_->PlaceRings(plan, fresh);
  Result<VipTable> table;
  if (placed) table = BuildVipTable(EncodeVips(plan, *placed), impl_->half_size, impl_->SeedInForce());
  if (!placed || !table) {
    for (const RingRange& range : fresh) impl_->rings.Free(range);
    return std::unexpected(placed ? table.error() : placed.error());
  }
  const uint32_t half = 1 - impl_->HalfInForce();
  impl_->WriteHalf(half, *table);
  std::atomic_ref(impl_->control.values()[0].vip_table).store(table->control | half, std::memory_order_release);
  impl_->Adopt(std::move(*placed));
  uint32_t largest = 1;
  for (const auto& [id, vip] : impl_->installed) largest = std::max(largest, vip.entry.ring_slots);
  (void)impl_->rings.Prepare(largest);  // where there is no room for more, the change that needs it will say so
  return {};
}

Status KernelDataplane::SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring,
                                 std::span<const uint32_t> slots) {
  const std::scoped_lock lock(impl_->tables_mutex);
  const auto found = impl_->installed.find(vip_id);
  const auto bad = [&](const std::string& why) {
    return Fail(ErrorKind::kInvalid, fmt::format("setting slots of VIP id {}: {}", vip_id, why));
  };
  if (found == impl_->installed.end()) return bad("there is no such VIP");
  InstalledVip& vip = found->second;
  if (ring->size() != vip.ring->size())
    return bad(fmt::format("its ring has {} slots, the new one {}", vip.ring->size(), ring->size()));
  for (const uint32_t slot : slots)
    if (slot >= ring->size()) return bad(fmt::format("slot {}; its ring has {} slots", slot, ring->size()));
  for (const uint32_t slot : slots) impl_->rings.WriteSlot(vip.range, slot, (*ring)[slot]);
  vip.ring = ring;
  return {};
}

Status KernelDataplane::Synchronize() {
  const std::scoped_lock lock(impl_->tables_mutex);
  return impl_->Synchronize();
}

void KernelDataplane::Impl::TakeOverTables() {
  half_size = VipTableSizeFor(options.capacities.max_vips);
  constexpr shunt_vip kEmpty{};
  for (const uint32_t half : {0u, 1u}) {
    const std::span<shunt_vip> lines = LinesOf(half);
    for (uint32_t number = 0; number < lines.size(); ++number)
      if (std::memcmp(&lines[number], &kEmpty, sizeof(kEmpty)) != 0) lines_of_half[half].push_back(number);
  }
  for (const uint32_t number : lines_of_half[HalfInForce()]) {
    const shunt_vip& line = LinesOf(HalfInForce())[number];
    if (IsAddressEntry(line)) continue;
    InstalledVip vip{DecodeVip(line), {}, std::make_shared<const Ring>()};
    // Room that is not there, or another VIP's: told as no ring, so that the next plan writes it.
    if (line.ring_slots > 0 && rings.TakeOver(line.ring_line, line.ring_slots, vip.range)) {
      vip.ring = std::make_shared<const Ring>(rings.Read(vip.range, line.ring_slots));
    } else {
      vip.range = {};
    }
    installed[line.id] = std::move(vip);
  }
  NoteHashKeys();
}

Result<Plan> KernelDataplane::Read() {
  const std::scoped_lock lock(impl_->tables_mutex);
  Plan plan;
  for (const shunt_vip& line : VipsIn(impl_->LinesOf(impl_->HalfInForce()))) {
    if (IsAddressEntry(line)) continue;
    const InstalledVip& vip = impl_->installed.at(line.id);
    PlannedVip& planned = plan.vips[DecodeVipKey(line)];
    planned.entry = DecodeVip(line);
    planned.entry.ring_slots = static_cast<uint32_t>(vip.ring->size());
    planned.ring = std::make_shared<const Ring>(impl_->rings.Read(vip.range, planned.entry.ring_slots));
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

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// KernelDataplane's way from an older set of maps, of an earlier version or with other capacities, to its own, while
// packets pass:
//
//   1. Open(): VIPs, rings, reals, counts and remembered flows are copied to new maps that no packet meets.
//   2. The controller makes them what they shall be; that may take a second.
//   3. Attach(): slots that move are put on hold in the old set, so that flows which begin now go where a flow goes
//   that
//      nobody remembers; flows are copied again; interfaces change over to the program with the new maps.
//   4. When no packet is under way in the old program: flows and counts once more, and the old set goes.
//
// No flow breaks: one that the new set does not know goes to its slot's previous real, as it did under hold; one of a
// settled slot to the current one. Flow sketches begin anew.
#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

Traffic operator-(const Traffic& a, const Traffic& b) {
  return {a.packets - b.packets, a.bytes - b.bytes, a.new_flows - b.new_flows};
}

// The map of that name; an empty one of the program's own where sets of version 2 have none.
Result<BpfMap> OpenOlderMap(const std::string& folder, const std::string& name) {
  auto pinned = OpenPin(folder + "/" + PinName(name));
  if (pinned || pinned.error().kind != ErrorKind::kNotFound) return pinned;
  const bool of_verdicts = name == "verdict_carried";
  if (!of_verdicts && name != "vip_carried") return pinned;
  auto like = OpenPin(folder + "/" + (of_verdicts ? "verdict_counters" : "vip_counters"));
  if (!like) return like;
  MapShape shape = like->shape();
  shape.flags = 0;
  return BpfMap::CreateArray(name, shape);
}

// The slots that change.
std::vector<uint32_t> Hold(Ring& ring) {
  std::vector<uint32_t> held;
  for (uint32_t number = 0; number < ring.size(); ++number) {
    if (!IsMoving(ring[number]) || ring[number].hold) continue;
    ring[number].hold = true;
    held.push_back(number);
  }
  return held;
}

std::vector<RealWrite> RealsOf(const Plan& plan) {
  std::vector<RealWrite> writes;
  for (const auto& [key, vip] : plan.vips)
    for (const auto& [index, real] : vip.reals) writes.push_back({vip.entry.real_base + index, real});
  return writes;
}

Result<Counts> ReadCounts(KernelDataplane& tables, const Plan& plan) {
  Counts counts;
  for (const auto& [key, vip] : plan.vips) {
    auto of_vip = tables.ReadVipTraffic(std::span(&vip.entry.id, 1));
    if (!of_vip) return std::unexpected(of_vip.error());
    counts.vips[key] = of_vip->front();
    auto refusals = tables.ReadRefusals(std::span(&vip.entry.id, 1));
    if (!refusals) return std::unexpected(refusals.error());
    counts.refusals[key] = refusals->front();
    for (const auto& [index, real] : vip.reals) {
      const uint32_t entry = vip.entry.real_base + index;
      auto of_real = tables.ReadRealTraffic(std::span(&entry, 1));
      if (!of_real) return std::unexpected(of_real.error());
      counts.reals[{key, real.address}] = of_real->front();
    }
  }
  auto verdicts = tables.ReadVerdicts();
  if (!verdicts) return std::unexpected(verdicts.error());
  counts.verdicts = std::move(*verdicts);
  return counts;
}

// What was counted since `before`; of what is not in there, all.
Counts Since(Counts now, const Counts& before) {
  for (auto& [key, traffic] : now.vips)
    if (const auto old = before.vips.find(key); old != before.vips.end()) traffic = traffic - old->second;
  for (auto& [key, refusals] : now.refusals)
    if (const auto old = before.refusals.find(key); old != before.refusals.end()) refusals.count -= old->second.count;
  for (auto& [key, traffic] : now.reals)
    if (const auto old = before.reals.find(key); old != before.reals.end()) traffic = traffic - old->second;
  for (size_t i = 0; i < now.verdicts.size() && i < before.verdicts.size(); ++i) {
    now.verdicts[i].packets -= before.verdicts[i].packets;
    now.verdicts[i].bytes -= before.verdicts[i].bytes;
  }
  return now;
}

template <class Value, class More>
Status AddTo(ArrayMap<Value>& carried, uint32_t index, const More& more) {
  auto value = carried.Read(std::span(&index, 1));
  if (!value) return std::unexpected(value.error());
  value->front().packets += more.packets;
  value->front().bytes += more.bytes;
  if constexpr (requires { more.new_flows; }) value->front().new_flows += more.new_flows;
  return carried.Update(std::span(&index, 1), *value);
}

// Where a remembered flow of the old set stands in the new plan; by the old VIP id and index.
struct FlowPlace {
  uint32_t vip_id = 0;
  uint16_t real_index = 0;
};
using FlowPlaces = std::map<std::pair<uint32_t, uint16_t>, FlowPlace>;

FlowPlaces PlacesOfFlows(const Plan& from, const Plan& to) {
  FlowPlaces places;
  for (const auto& [key, vip] : from.vips) {
    const auto kept = to.vips.find(key);
    if (kept == to.vips.end()) continue;
    std::map<IpAddress, uint16_t> indices;
    for (const auto& [index, real] : kept->second.reals)
      if (real.serves) indices.emplace(real.address, index);
    for (const auto& [index, real] : vip.reals)
      if (const auto found = indices.find(real.address); found != indices.end())
        places[{vip.entry.id, index}] = {kept->second.entry.id, found->second};
  }
  return places;
}

}  // namespace

Result<Capacities> CapacitiesOfPins(const std::string& folder) {
  const auto entries = [&](const char* name) -> Result<uint32_t> {
    auto map = OpenPin(folder + "/" + name);
    if (!map) return std::unexpected(map.error());
    return map->shape().max_entries;
  };
  const auto vips = entries("vip_refusals"), reals = entries("reals"), flow_lines = entries("flow_table"),
             vip_lines = entries("vip_table");
  for (const auto* read : {&vips, &reals, &flow_lines, &vip_lines})
    if (!*read) return std::unexpected(read->error());
  if (*vips < 2 || 2 * VipTableSizeFor(*vips - 1).lines != *vip_lines)
    return Fail(ErrorKind::kSystem, fmt::format("its VIP table has {} lines for {} VIPs", *vip_lines, *vips - 1));
  return Capacities{
      .max_vips = *vips - 1, .max_reals = *reals, .max_flows = *flow_lines * SHUNT_FLOWS_PER_LINE / 4 * 3};
}

Status KernelDataplane::Impl::OpenEarlier(const std::string& earlier_set) {
  const std::string path = folder->within() + "/" + earlier_set;
  const std::string doing = fmt::format("reading the maps pinned in {}/{}", folder->path(), earlier_set);
  auto tables = std::make_unique<Impl>();
  auto capacities = CapacitiesOfPins(path);
  if (!capacities) return Context(doing, capacities.error());
  tables->options.capacities = *capacities;
  if (auto opened = tables->OpenMaps([&](const std::string& name) { return OpenOlderMap(path, name); }, {}); !opened)
    return Context(doing, opened.error());
  earlier = {.set = earlier_set, .tables = nullptr, .program = {}, .counted = {}};
  earlier->tables.reset(new KernelDataplane(std::move(tables)));
  if (auto program_there = OpenKeptProgram(path)) earlier->program = std::move(*program_there);
  return {};
}

Status KernelDataplane::Impl::CopyEarlier(KernelDataplane& self) {
  auto plan = earlier->tables->Read();
  if (!plan) return std::unexpected(plan.error());
  for (auto& [key, vip] : plan->vips) {
    Ring ring = *vip.ring;
    if (!Hold(ring).empty()) vip.ring = std::make_shared<const Ring>(std::move(ring));
  }
  if (auto written = self.SetReals(RealsOf(*plan)); !written) return written;
  if (auto written = self.SetVips(*plan); !written) return written;
  auto counted = ReadCounts(*earlier->tables, *plan);
  if (!counted) return std::unexpected(counted.error());
  if (auto added = AddCounts(*plan, *counted); !added) return added;
  earlier->counted = std::move(*counted);
  return CopyFlows(self);
}

void KernelDataplane::Impl::AddRefusals(uint32_t vip_id, const Refusals& more) const {
  shunt_refusals& refusals = vip_refusals.values()[vip_id];
  std::atomic_ref(refusals.count).fetch_add(more.count, std::memory_order_relaxed);
  if (!more.seconds_ago) return;
  const uint32_t last_s = FlowClockSeconds() - *more.seconds_ago;
  if (last_s > refusals.last_s) std::atomic_ref(refusals.last_s).store(last_s, std::memory_order_relaxed);
}

Status KernelDataplane::Impl::AddCounts(const Plan& plan, const Counts& more) {
  for (const auto& [key, vip] : plan.vips) {
    if (const auto of_vip = more.vips.find(key); of_vip != more.vips.end())
      if (auto added = AddTo(vip_carried, vip.entry.id, of_vip->second); !added) return added;
    if (const auto refused = more.refusals.find(key); refused != more.refusals.end())
      AddRefusals(vip.entry.id, refused->second);
    for (const auto& [index, real] : vip.reals)
      if (const auto of_real = more.reals.find({key, real.address}); of_real != more.reals.end())
        if (auto added = AddTo(real_carried, vip.entry.real_base + index, of_real->second); !added) return added;
  }
  for (const VerdictCount& verdict : more.verdicts)
    if (auto added = AddTo(verdict_carried, verdict.verdict, verdict); !added) return added;
  return {};
}

// A flow that is known here already stays as it is: packets met it here last.
Status KernelDataplane::Impl::CopyFlows(KernelDataplane& self) {
  auto from = earlier->tables->Read();
  if (!from) return std::unexpected(from.error());
  auto to = self.Read();
  if (!to) return std::unexpected(to.error());
  const FlowPlaces places = PlacesOfFlows(*from, *to);
  const auto keys = HashKeys();
  const FlowTableMemory table = Flows();
  auto entries = earlier->tables->ReadFlowEntries(0, earlier->tables->flow_places());
  if (!entries) return std::unexpected(entries.error());
  uint64_t known = 0, without_room = 0;
  for (FlowEntry& entry : *entries) {
    const auto place = places.find({entry.flow.vip_id, entry.flow.real_index});
    if (place == places.end()) continue;
    entry.flow.vip_id = place->second.vip_id;
    entry.flow.real_index = place->second.real_index;
    ++(EnterFlow(table, entry, *(*keys)[entry.flow.vip_id]) ? known : without_room);
  }
  flows_note = fmt::format("{} remembered flows", known);
  if (without_room > 0)
    flows_note += fmt::format(", and {} for which the smaller flow table has no room: they may move", without_room);
  return {};
}

Status KernelDataplane::Impl::BeginTakeOver(KernelDataplane& self) {
  auto plan = earlier->tables->Read();
  if (!plan) return std::unexpected(plan.error());
  for (const auto& [key, vip] : plan->vips) {
    Ring ring = *vip.ring;
    const std::vector<uint32_t> held = Hold(ring);
    if (held.empty()) continue;
    auto done = earlier->tables->SetSlots(vip.entry.id, std::make_shared<const Ring>(std::move(ring)), held);
    if (!done) return done;
  }
  if (auto copied = CopyFlows(self); !copied) return copied;
  return MoveTo(TakingOverSet(FinalSet(set)));
}

Status KernelDataplane::Impl::MoveTo(const std::string& name) {
  if (name == set) return {};
  if (auto renamed = RenameFolder(PinFolder(), folder->within() + "/" + name); !renamed) return renamed;
  set = name;
  rings.set_pin_folder(PinFolder());
  return {};
}

// Interfaces that are not ours to attach to any more, but still have the old program, are left without: nothing would
// keep its tables.
Status KernelDataplane::Impl::LeaveOldProgram() {
  const uint32_t owner = earlier->tables->impl_->OwnerMapId();
  auto interfaces = AllInterfaces();
  if (!interfaces) return std::unexpected(interfaces.error());
  for (const std::string& interface : *interfaces) {
    auto detached = DetachXdp(interface, std::span(&owner, 1), KnownPrograms());
    if (!detached && detached.error().kind != ErrorKind::kNotFound) return std::unexpected(detached.error());
    if (detached && *detached)
      notes.push_back(fmt::format(
          "{} had the earlier program and is none of the interfaces to balance: it has none now", interface));
  }
  return {};
}

Status KernelDataplane::Impl::EndTakeOver(KernelDataplane& self) {
  if (auto left = LeaveOldProgram(); !left) return left;
  if (auto waited = self.Synchronize(); !waited) return waited;
  if (auto copied = CopyFlows(self); !copied) return copied;
  auto old_plan = earlier->tables->Read();
  if (!old_plan) return std::unexpected(old_plan.error());
  auto plan = self.Read();
  if (!plan) return std::unexpected(plan.error());
  if (earlier->counted) {
    auto now = ReadCounts(*earlier->tables, *old_plan);
    if (!now) return std::unexpected(now.error());
    if (auto added = AddCounts(*plan, Since(std::move(*now), *earlier->counted)); !added) return added;
  }
  notes.push_back(
      fmt::format("took over from the maps of {}: {} VIPs, {}", earlier->set, old_plan->vips.size(), flows_note));
  if (auto removed = RemoveFolder(folder->within() + "/" + earlier->set); !removed) return removed;
  earlier.reset();
  return MoveTo(FinalSet(set));
}

}  // namespace shunt

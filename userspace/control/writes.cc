// SPDX-License-Identifier: Apache-2.0
// One pass over both plans sorts every difference into its phase; the phases are then put one behind the other.
#include "userspace/control/writes.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace shunt {
namespace {

// In the order of execution.
struct Phases {
  write::ResetTraffic reset;
  write::ClearReals leftovers;  // what an earlier owner of a new range may have left there
  write::SetReals set_reals;
  bool set_vips = false;
  std::vector<Write> carry;    // after the VIPs: nothing counts at the old entry any more
  write::SetReals stop_reals;  // that serve no longer: nothing leads new flows there any more
  write::ClearReals clear_reals;
  bool forget = false;
};

bool SameRange(const VipEntry& a, const VipEntry& b) {
  return a.real_base == b.real_base && a.real_capacity == b.real_capacity;
}

void RemoveVip(const PlannedVip& vip, Phases& phases) {
  phases.set_vips = true;
  for (const auto& [index, real] : vip.reals) phases.clear_reals.entries.push_back(vip.entry.real_base + index);
  phases.forget = true;
}

void ClearLeftovers(const PlannedVip& vip, Phases& phases) {
  for (uint32_t index = 0; index < vip.entry.real_capacity; ++index) {
    if (vip.reals.contains(static_cast<uint16_t>(index))) continue;
    phases.leftovers.entries.push_back(vip.entry.real_base + index);
  }
}

void AddVip(const PlannedVip& vip, Phases& phases) {
  phases.set_vips = true;
  phases.reset.vip_ids.push_back(vip.entry.id);
  for (const auto& [index, real] : vip.reals) {
    const uint32_t entry = vip.entry.real_base + index;
    phases.reset.entries.push_back(entry);
    phases.set_reals.reals.push_back({.entry = entry, .real = real});
  }
  ClearLeftovers(vip, phases);
}

void CompareReals(const PlannedVip& before, const PlannedVip& after, Phases& phases) {
  const bool in_place = SameRange(before.entry, after.entry);
  if (in_place && before.reals == after.reals) return;  // as nearly always
  for (const auto& [index, real] : after.reals) {
    const uint32_t entry = after.entry.real_base + index;
    const auto old = before.reals.find(index);
    if (in_place && old != before.reals.end() && old->second == real) continue;
    const bool same_real = old != before.reals.end() && old->second.address == real.address;
    const bool stops = same_real && old->second.serves && !real.serves;
    // Until the VIPs are written the ring may lead to it. In another range nobody knows it before.
    (stops && in_place ? phases.stop_reals : phases.set_reals).reals.push_back({.entry = entry, .real = real});
    if (stops) phases.forget = true;
    if (!in_place || !same_real) phases.reset.entries.push_back(entry);
    if (!in_place && same_real) phases.carry.push_back(write::CarryTraffic{before.entry.real_base + index, entry});
  }
  if (!in_place) ClearLeftovers(after, phases);
  for (const auto& [index, real] : before.reals) {
    const auto kept = after.reals.find(index);
    const bool gone = kept == after.reals.end() || kept->second.address != real.address;
    if (gone) phases.forget = true;
    if (gone || !in_place) phases.clear_reals.entries.push_back(before.entry.real_base + index);
  }
}

// A VIP that stands in both plans.
void CompareVip(const PlannedVip& before, const PlannedVip& after, Phases& phases) {
  CompareReals(before, after, phases);
  const bool same_ring = before.ring == after.ring || *before.ring == *after.ring;
  if (before.entry != after.entry || !same_ring) phases.set_vips = true;
  // What was remembered by the old key is never found again.
  if (before.entry.flow_hash_key != after.entry.flow_hash_key) phases.forget = true;
}

void Append(std::vector<Write>&& more, std::vector<Write>& writes) {
  writes.insert(writes.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::vector<Write> InOrder(Phases&& phases, const std::shared_ptr<const Plan>& between) {
  std::vector<Write> writes;
  if (!phases.reset.vip_ids.empty() || !phases.reset.entries.empty()) writes.push_back(std::move(phases.reset));
  if (!phases.leftovers.entries.empty()) writes.push_back(std::move(phases.leftovers));
  if (!phases.set_reals.reals.empty()) writes.push_back(std::move(phases.set_reals));
  if (phases.set_vips) writes.push_back(write::SetVips{between});
  Append(std::move(phases.carry), writes);
  if (!phases.stop_reals.reals.empty()) writes.push_back(std::move(phases.stop_reals));
  if (!phases.clear_reals.entries.empty()) writes.push_back(std::move(phases.clear_reals));
  if (phases.forget) writes.push_back(write::ForgetFlows{between});
  return writes;
}

// The same VIP in both plans, but the new one would overwrite what the old one still serves from.
bool IsInTheWayOfItself(const PlannedVip& before, const PlannedVip& after) {
  if (before.entry.id != after.entry.id) return true;
  auto old = before.reals.begin();
  for (const auto& [index, real] : after.reals) {
    while (old != before.reals.end() && old->first < index) ++old;
    if (old != before.reals.end() && old->first == index && old->second.address != real.address) return true;
  }
  return false;
}

struct RangeOwner {
  uint32_t end;
  VipKey key;
};

bool RangeIsClaimed(const VipKey& key, const VipEntry& before, const VipEntry* after,
                    const std::map<uint32_t, RangeOwner>& claims) {
  const uint32_t end = before.real_base + before.real_capacity;
  auto claim = claims.upper_bound(before.real_base);
  if (claim != claims.begin()) --claim;
  for (; claim != claims.end() && claim->first < end; ++claim) {
    if (claim->second.end <= before.real_base) continue;
    if (claim->second.key != key || !SameRange(before, *after)) return true;
  }
  return false;
}

// VIPs of `from` whose id or entries `to` uses for something else.
std::set<VipKey> InTheWay(const Plan& from, const Plan& to) {
  std::map<uint32_t, VipKey> ids;
  std::map<uint32_t, RangeOwner> claims;  // by base
  for (const auto& [key, vip] : to.vips) {
    ids.emplace(vip.entry.id, key);
    claims.emplace(vip.entry.real_base, RangeOwner{vip.entry.real_base + vip.entry.real_capacity, key});
  }
  std::set<VipKey> in_the_way;
  for (const auto& [key, before] : from.vips) {
    const auto found = to.vips.find(key);
    const PlannedVip* after = found == to.vips.end() ? nullptr : &found->second;
    const auto id = ids.find(before.entry.id);
    const bool id_is_claimed = id != ids.end() && id->second != key;
    if (id_is_claimed || RangeIsClaimed(key, before.entry, after == nullptr ? nullptr : &after->entry, claims) ||
        (after != nullptr && IsInTheWayOfItself(before, *after))) {
      in_the_way.insert(key);
    }
  }
  return in_the_way;
}

// `between` is `to`, or null for the plan that all writes lead to.
std::vector<Write> OrderWritesApart(const Plan& from, const Plan& to, const std::shared_ptr<const Plan>& between) {
  Phases phases;
  for (const auto& [key, after] : to.vips) {
    const auto before = from.vips.find(key);
    if (before == from.vips.end()) {
      AddVip(after, phases);
    } else {
      CompareVip(before->second, after, phases);
    }
  }
  for (const auto& [key, before] : from.vips) {
    if (!to.vips.contains(key)) RemoveVip(before, phases);
  }
  return InOrder(std::move(phases), between);
}

struct Executor {
  const Plan& to;
  Dataplane& dataplane;

  const Plan& PlanOf(const std::shared_ptr<const Plan>& between) const { return between ? *between : to; }

  Status operator()(const write::ResetTraffic& w) { return dataplane.ResetTraffic(w.vip_ids, w.entries); }
  Status operator()(const write::SetReals& w) { return dataplane.SetReals(w.reals); }
  Status operator()(const write::SetVips& w) { return dataplane.SetVips(PlanOf(w.between)); }
  Status operator()(const write::ClearReals& w) { return dataplane.ClearReals(w.entries); }
  Status operator()(const write::CarryTraffic& w) { return dataplane.CarryTraffic(w.from, w.to); }
  Status operator()(const write::ForgetFlows& w) {
    // Packets under way may enter flows for what they met before it was removed.
    if (auto done = dataplane.Synchronize(); !done) return done;
    return dataplane.ForgetFlowsExcept(PlanOf(w.between));
  }
};

bool IsOfCounters(const Write& write) {
  return std::holds_alternative<write::ResetTraffic>(write) || std::holds_alternative<write::CarryTraffic>(write);
}

}  // namespace

std::vector<Write> OrderWrites(const Plan& from, const Plan& to) {
  const std::set<VipKey> in_the_way = InTheWay(from, to);
  if (in_the_way.empty()) return OrderWritesApart(from, to, nullptr);
  auto between = std::make_shared<Plan>(Plan{.vips = from.vips, .resting = {}});
  std::erase_if(between->vips, [&](const auto& vip) { return in_the_way.contains(vip.first); });
  std::vector<Write> writes = OrderWritesApart(from, *between, between);
  Append(OrderWritesApart(*between, to, nullptr), writes);
  return writes;
}

Status Execute(const std::vector<Write>& writes, const Plan& to, Dataplane& dataplane) {
  for (const Write& write : writes) {
    if (auto status = std::visit(Executor{to, dataplane}, write); !status) return status;
  }
  return {};
}

Status Revert(const Plan& attempted, const Plan& from, Dataplane& dataplane) {
  constexpr size_t kShown = 5;
  std::string problems;
  size_t failed = 0;
  for (const Write& write : OrderWrites(attempted, from)) {
    if (IsOfCounters(write)) continue;  // what was counted stays counted, and is not counted twice
    const Status status = std::visit(Executor{from, dataplane}, write);
    if (status || ++failed > kShown) continue;
    problems += (problems.empty() ? "" : "\n") + status.error().message;
  }
  if (failed == 0) return {};
  if (failed > kShown) problems += fmt::format("\nand {} more", failed - kShown);
  return Fail(ErrorKind::kSystem, problems);
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/id_allocation.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace shunt {
namespace {

constexpr uint32_t kMaxRangeCapacity = kMaxRealIndex + 1u;

}  // namespace

IdAllocator::IdAllocator(const std::map<VipKey, PlannedVip>& vips, const Resting& resting, const Capacities& capacities)
    : capacities_(capacities) {
  for (const auto& [key, vip] : vips) {
    vip_ids_.insert(vip.entry.id);
    Occupy(vip.entry.real_base, vip.entry.real_base + vip.entry.real_capacity);
  }
  for (const auto& [id, until] : resting.vip_ids) vip_ids_.insert(id);
  for (const auto& range : resting.ranges) Occupy(range.base, range.base + range.capacity);
}

Result<uint32_t> IdAllocator::TakeVipId() {
  while (vip_ids_.contains(next_vip_id_)) ++next_vip_id_;
  if (next_vip_id_ > capacities_.max_vips) {
    return Fail(
        ErrorKind::kInvalid,
        fmt::format("no VIP id of {} is free, and ids freed lately rest for {} seconds; try again after that, or "
                    "start shuntd with a larger --max_vips",
                    capacities_.max_vips, kRest.count()));
  }
  return next_vip_id_++;
}

Result<uint32_t> IdAllocator::TakeRange(uint32_t capacity) {
  uint32_t base = 0;
  for (const auto& [start, end] : occupied_) {
    if (start - base >= capacity) break;  // `start` is never below `base`: the stretches are sorted and apart
    base = end;
  }
  if (base > capacities_.max_reals || capacities_.max_reals - base < capacity) {
    return Fail(
        ErrorKind::kInvalid,
        fmt::format("the real table has no {} free entries in a row ({} of {} are the most), and entries freed "
                    "lately rest for {} seconds; try again after that, or start shuntd with a larger --max_reals",
                    capacity, LongestFree(), capacities_.max_reals, kRest.count()));
  }
  Occupy(base, base + capacity);
  return base;
}

void IdAllocator::Occupy(uint32_t base, uint32_t end) {
  auto next = occupied_.upper_bound(base);
  if (next != occupied_.begin()) {
    const auto previous = std::prev(next);
    if (previous->second >= base) next = previous;
  }
  while (next != occupied_.end() && next->first <= end) {
    base = std::min(base, next->first);
    end = std::max(end, next->second);
    next = occupied_.erase(next);
  }
  occupied_.emplace_hint(next, base, end);
}

uint32_t IdAllocator::LongestFree() const {
  uint32_t longest = 0;
  uint32_t base = 0;
  for (const auto& [start, end] : occupied_) {
    longest = std::max(longest, start - base);
    base = end;
  }
  return base < capacities_.max_reals ? std::max(longest, capacities_.max_reals - base) : longest;
}

Result<IndexAssignment> AssignIndices(const Vip& vip, const PlannedVip* current, const Resting& resting) {
  IndexAssignment assignment;
  assignment.capacity = RealCapacity(vip.reals.size());
  std::vector<std::pair<IpAddress, uint16_t>> had;  // by address
  std::vector<bool> taken;                          // by reals that stay, by reals that go now, or by rest
  const auto take = [&taken](uint16_t index) {
    if (index >= taken.size()) taken.resize(index + 1u);
    taken[index] = true;
  };
  if (current != nullptr) {
    assignment.capacity = std::max(assignment.capacity, current->entry.real_capacity);
    for (const auto& [index, real] : current->reals) {
      take(index);
      had.emplace_back(real.address, index);
    }
    std::ranges::sort(had);
    if (const auto rest = resting.real_indices.find(current->entry.id); rest != resting.real_indices.end()) {
      for (const auto& [index, until] : rest->second) take(index);
    }
  }
  uint32_t next = 1;
  auto old = had.begin();
  for (const auto& [address, real] : vip.reals) {
    while (old != had.end() && old->first < address) ++old;
    if (old != had.end() && old->first == address) {
      assignment.indices.push_back(old->second);
      continue;
    }
    while (next < taken.size() && taken[next]) ++next;
    if (next >= kMaxRangeCapacity) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("no index is free for the real {}, and indices freed lately rest for "
                              "{} seconds; try again after that",
                              address.ToString(), kRest.count()));
    }
    assignment.indices.push_back(static_cast<uint16_t>(next++));
  }
  while (assignment.capacity < next) assignment.capacity *= 2;
  return assignment;
}

void DropRested(Resting& resting, SteadyTime now) {
  const auto rested = [now](const auto& entry) { return entry.second <= now; };
  std::erase_if(resting.vip_ids, rested);
  for (auto& [id, indices] : resting.real_indices) std::erase_if(indices, rested);
  std::erase_if(resting.real_indices, [](const auto& entry) { return entry.second.empty(); });
  std::erase_if(resting.ranges, [now](const Resting::Range& range) { return range.until <= now; });
}

void RestFreed(const Plan& from, Plan& to, SteadyTime now) {
  const SteadyTime until = now + kRest;
  for (const auto& [key, before] : from.vips) {
    const auto found = to.vips.find(key);
    const PlannedVip* after = found == to.vips.end() ? nullptr : &found->second;
    const VipEntry& entry = before.entry;
    if (after == nullptr || after->entry.real_base != entry.real_base ||
        after->entry.real_capacity != entry.real_capacity) {
      to.resting.ranges.push_back({entry.real_base, entry.real_capacity, until});
    }
    if (after == nullptr || after->entry.id != entry.id) {
      to.resting.vip_ids[entry.id] = until;
      to.resting.real_indices.erase(entry.id);  // none of them rests longer than the id itself
      continue;
    }
    auto kept = after->reals.begin();
    for (const auto& [index, real] : before.reals) {
      while (kept != after->reals.end() && kept->first < index) ++kept;
      if (kept == after->reals.end() || kept->first != index || kept->second.address != real.address) {
        to.resting.real_indices[entry.id][index] = until;
      }
    }
  }
}

}  // namespace shunt

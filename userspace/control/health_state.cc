// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/health_state.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace shunt {
namespace {

using std::chrono::milliseconds;

const std::map<IpAddress, Health> kAllUnchecked;
const RealClimbs kNoClimbs;

template <class Map>
const typename Map::mapped_type& FindOr(const Map& map, const VipKey& key, const typename Map::mapped_type& otherwise) {
  const auto found = map.find(key);
  return found == map.end() ? otherwise : found->second;
}

bool IsUsedWhole(const WeightTable& weights, const VipKey& key) {
  const auto found = weights.find(key);
  return found != weights.end() && found->second.mode == VipMode::kPanicOpen;
}

// One VIP of what is to come: `before` null for a new one, which nobody climbs in.
void WeighOne(const VipKey& key, const VipSettings& settings, const Vip* before, const Vip& after,
              const HealthInForce& in_force, SteadyTime now, HealthInForce& next) {
  const auto& health = FindOr(next.liveness, key, kAllUnchecked);
  RealClimbs climbs;
  if (before != nullptr) {
    climbs = NextClimbsOf(settings,
                          {.vip = *before,
                           .health = FindOr(in_force.liveness, key, kAllUnchecked),
                           .is_used_whole = IsUsedWhole(in_force.weights, key)},
                          {.vip = after, .health = health}, FindOr(in_force.climbs, key, kNoClimbs), now);
  }
  next.weights.emplace(key, WeighVip(settings, after, health, climbs, now));
  if (!climbs.empty()) next.climbs.emplace(key, std::move(climbs));
}

}  // namespace

std::optional<milliseconds> HealthState::WaitForOthers(const VipKey& key, const HealthCheck& check) const {
  const auto has = [](const auto& reals, Health health) {
    return std::ranges::any_of(reals, [health](const auto& real) { return real.second == health; });
  };
  const auto is_unknown = [](const auto& real) { return real.second == Health::kUnknown; };
  const milliseconds interval{check.interval_ms}, failing_interval{check.failing_interval_ms},
      timeout{check.timeout_ms};
  if (std::ranges::all_of(in_force_.liveness.at(key), is_unknown)) {
    if (has(latest_.at(key), Health::kUnknown)) return interval + timeout;
  } else if (IsUsedWhole(in_force_.weights, key)) {
    if (has(latest_.at(key), Health::kDown))
      return (failing_interval.count() > 0 ? failing_interval : interval) + timeout;
  }
  return std::nullopt;
}

bool HealthState::Note(const HealthChange& change, const DesiredState& desired, SteadyTime now) {
  const auto vip = latest_.find(change.vip);
  if (vip == latest_.end()) return false;
  const auto real = vip->second.find(change.real);
  if (real == vip->second.end() || real->second == change.health) return false;
  real->second = change.health;
  const auto wait = WaitForOthers(change.vip, EffectiveSettings(desired, desired.vips.at(change.vip)).health);
  if (wait) {
    wanted_at_.try_emplace(change.vip, now + *wait);
  } else {
    wanted_at_[change.vip] = SteadyTime::min();
  }
  return true;
}

HealthInForce HealthState::WeighAll(const DesiredState& before, const DesiredState& wanted, SteadyTime now) const {
  HealthInForce next{.liveness = CarryLiveness(before, latest_, wanted), .climbs = {}, .weights = {}};
  for (const auto& [key, vip] : wanted.vips) {
    const auto old = before.vips.find(key);
    WeighOne(key, EffectiveSettings(wanted, vip), old == before.vips.end() ? nullptr : &old->second, vip, in_force_,
             now, next);
  }
  return next;
}

HealthInForce HealthState::WeighDue(const DesiredState& desired, SteadyTime now) const {
  HealthInForce next;
  for (const auto& [key, at] : wanted_at_) {
    if (DueAt(key, at) > now) continue;
    const Vip& vip = desired.vips.at(key);
    if (const auto known = latest_.find(key); known != latest_.end()) next.liveness.emplace(*known);
    WeighOne(key, EffectiveSettings(desired, vip), &vip, vip, in_force_, now, next);
  }
  return next;
}

SteadyTime HealthState::DueAt(const VipKey& key, SteadyTime at) const {
  const auto wait = not_before_.find(key);
  return std::max({at, postponed_until_, wait == not_before_.end() ? SteadyTime::min() : wait->second});
}

SteadyTime HealthState::due_at() const {
  SteadyTime due_at = SteadyTime::max();
  for (const auto& [key, at] : wanted_at_) due_at = std::min(due_at, DueAt(key, at));
  return due_at;
}

void HealthState::Replace(HealthInForce all) {
  in_force_ = std::move(all);
  latest_ = in_force_.liveness;
  wanted_at_.clear();
  NoteClimbs(in_force_.weights);
  std::erase_if(not_before_, [&](const auto& wait) { return !in_force_.weights.contains(wait.first); });
}

void HealthState::Update(HealthInForce some, const std::vector<VipKey>& rings_changed, const DesiredState& desired,
                         SteadyTime now) {
  for (auto& [key, weights] : some.weights) {
    wanted_at_.erase(key);
    in_force_.climbs.erase(key);
    in_force_.weights.insert_or_assign(key, weights);
  }
  NoteClimbs(some.weights);
  for (auto& [key, health] : some.liveness) in_force_.liveness.insert_or_assign(key, std::move(health));
  in_force_.climbs.merge(some.climbs);
  std::erase_if(not_before_, [now](const auto& wait) { return wait.second <= now; });
  for (const VipKey& key : rings_changed) {
    const uint32_t per_second = EffectiveSettings(desired, desired.vips.at(key)).ring_changes_per_second;
    not_before_[key] = now + std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second;
  }
}

void HealthState::NoteClimbs(const WeightTable& weights) {
  for (const auto& [key, vip] : weights) {
    if (vip.climbs_on_at) wanted_at_[key] = *vip.climbs_on_at;
  }
}

}  // namespace shunt

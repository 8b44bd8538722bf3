// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/health_events.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace shunt {
namespace {

const VipWeights* Find(const HealthInForce& in_force, const VipKey& key) {
  const auto found = in_force.weights.find(key);
  return found == in_force.weights.end() ? nullptr : &found->second;
}

std::string_view WhatFollows(VipMode mode) {
  switch (mode) {
    case VipMode::kNormal:
      break;
    case VipMode::kPanicOpen:
      return "all reals take traffic, whether their checks pass or not (fail_open)";
    case VipMode::kPanicClosed:
      return "only healthy reals take traffic (fail_closed)";
    case VipMode::kWithdrawn:
      return "only healthy reals take traffic, and the VIP is not to be announced (withdraw)";
  }
  return "";
}

std::string HealthyShare(const VipWeights& weights) {
  return fmt::format("{:.3g} % of the weight is healthy", weights.healthy_percent);
}

class Teller {
 public:
  Teller(const VipKey& key, const HealthMoment& before, const HealthMoment& after)
      : key_(key),
        before_(before),
        after_(after),
        vip_(after.desired.vips.at(key)),
        settings_(EffectiveSettings(after.desired, vip_)) {}

  std::vector<Event> Tell() {
    static const VipWeights kNothing;
    const VipWeights* old = Find(before_.in_force, key_);
    const VipWeights* now = Find(after_.in_force, key_);
    TellGroup();
    if (now != nullptr) TellMode(old == nullptr ? kNothing : *old, *now);
    TellReals();
    return std::move(events_);
  }

 private:
  void Add(std::string_view kind, std::string cause, std::string real = "") {
    events_.push_back({.id = 0,
                       .at = {},
                       .kind = std::string(kind),
                       .vip = key_.ToString(),
                       .real = std::move(real),
                       .cause = std::move(cause)});
  }

  void TellGroup() {
    const auto old = before_.desired.vips.find(key_);
    if (old == before_.desired.vips.end() || old->second.active_group == vip_.active_group) return;
    const auto name = [](const std::string& group) { return group.empty() ? std::string("none") : group; };
    Add("group_switched", fmt::format("from {} to {}", name(old->second.active_group), name(vip_.active_group)));
  }

  void TellMode(const VipWeights& old, const VipWeights& now) {
    if (now.mode != old.mode) {
      if (now.mode == VipMode::kNormal) {
        Add("panic_left", HealthyShare(now));
      } else {
        Add("panic_entered",
            fmt::format("{}, less than {} %: {}", HealthyShare(now), settings_.panic_percent, WhatFollows(now.mode)));
      }
    }
    if (now.backups_used != old.backups_used) {
      Add(now.backups_used ? "backups_joined" : "backups_left",
          fmt::format("backups take traffic while less than {} % of the other reals' weight is healthy",
                      settings_.backup_below_percent));
    }
  }

  void TellReals() {
    const auto climbed = before_.in_force.climbs.find(key_);
    for (const auto& [address, real] : vip_.reals) {
      const Health health = HealthOf(after_.in_force.liveness, key_, address);
      if (health == Health::kUnknown && HealthOf(before_.in_force.liveness, key_, address) != Health::kUnknown) {
        Add("real_unknown", "it is new: no traffic before its first probe has passed", address.ToString());
      }
      if (climbed == before_.in_force.climbs.end() || !climbed->second.contains(address)) continue;
      if (real.state != RealState::kActive || !IsHealthy(health) || Climbs(address)) continue;
      Add("climb_ended",
          fmt::format("slow start of {} s is over: it has its whole weight", settings_.slow_start_seconds),
          address.ToString());
    }
  }

  bool Climbs(const IpAddress& address) const {
    const auto found = after_.in_force.climbs.find(key_);
    return found != after_.in_force.climbs.end() && found->second.contains(address);
  }

  const VipKey& key_;
  const HealthMoment before_;
  const HealthMoment after_;
  const Vip& vip_;
  const VipSettings settings_;
  std::vector<Event> events_;
};

}  // namespace

std::vector<Event> EventsOf(const VipKey& key, const HealthMoment& before, const HealthMoment& after) {
  return Teller(key, before, after).Tell();
}

}  // namespace shunt

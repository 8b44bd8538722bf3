// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/liveness.h"

namespace shunt {
namespace {

const Vip* Find(const DesiredState& state, const VipKey& key) {
  const auto found = state.vips.find(key);
  return found == state.vips.end() ? nullptr : &found->second;
}

}  // namespace

Health HealthOf(const Liveness& liveness, const VipKey& key, const IpAddress& real) {
  const auto vip = liveness.find(key);
  if (vip == liveness.end()) return Health::kUnchecked;
  const auto found = vip->second.find(real);
  return found == vip->second.end() ? Health::kUnchecked : found->second;
}

Liveness CarryLiveness(const DesiredState& before, const Liveness& liveness, const DesiredState& after) {
  Liveness carried;
  for (const auto& [key, vip] : after.vips) {
    const HealthCheck& check = vip.health ? *vip.health : after.defaults.health;
    if (check.kind == CheckKind::kNone) continue;
    const Vip* old = Find(before, key);
    auto& reals = carried.emplace_hint(carried.end(), key, std::map<IpAddress, Health>())->second;
    for (const auto& [address, real] : vip.reals) {
      Health health = HealthOf(liveness, key, address);
      if (health == Health::kUnchecked) {
        const bool has_served = old != nullptr && old->reals.contains(address);
        health = has_served || check.initially_up ? Health::kUp : Health::kUnknown;
      }
      reals.emplace_hint(reals.end(), address, health);
    }
  }
  return carried;
}

}  // namespace shunt

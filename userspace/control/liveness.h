// SPDX-License-Identifier: Apache-2.0
// What is known of the reals' health: plain values. health/ judges, the writer keeps the newest and weighs with it
// (weights.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "userspace/model/desired_state.h"

namespace shunt {

enum class Health : uint8_t {
  kUnchecked,  // its VIP has no check: counts as healthy
  kUnknown,    // new, and no probe has passed yet: takes no traffic
  kUp,
  kDown,
};

// Of the reals of checked VIPs alone; exactly those of the desired state it goes with.
using Liveness = std::map<VipKey, std::map<IpAddress, Health>>;

// May take traffic as far as its health is concerned.
inline bool IsHealthy(Health health) { return health == Health::kUnchecked || health == Health::kUp; }

Health HealthOf(const Liveness& liveness, const VipKey& key, const IpAddress& real);

// From the liveness of one desired state to that of the next: a real that is known keeps its health; one that has
// served unchecked counts as up until it is judged; a new one is unknown, or up if its check says so.
Liveness CarryLiveness(const DesiredState& before, const Liveness& liveness, const DesiredState& after);

// A judgement of health/, on its way to the writer.
struct HealthChange {
  VipKey vip;
  IpAddress real;
  Health health = Health::kUnknown;  // kUp or kDown
  std::string cause;                 // "3 probes failed: connect: Connection refused"
};

}  // namespace shunt

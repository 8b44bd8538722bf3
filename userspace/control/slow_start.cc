// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/slow_start.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "userspace/control/weights.h"

namespace shunt {
namespace {

using std::chrono::nanoseconds;

constexpr double kFirstShare = 0.01;

Health HealthIn(const VipMoment& moment, const IpAddress& address) {
  const auto found = moment.health.find(address);
  return found == moment.health.end() ? Health::kUnchecked : found->second;
}

bool MayServe(const VipMoment& moment, const IpAddress& address, const Real& real) {
  return IsHealthy(HealthIn(moment, address)) && real.state == RealState::kActive;
}

bool Begins(const VipMoment& before, const IpAddress& address) {
  const auto found = before.vip.reals.find(address);
  if (found == before.vip.reals.end() || found->second.state != RealState::kActive) return true;
  return !IsHealthy(HealthIn(before, address)) && !before.is_used_whole;
}

}  // namespace

ClimbStep ClimbAt(const VipSettings& settings, SteadyTime began, SteadyTime now) {
  const nanoseconds window = std::chrono::seconds(settings.slow_start_seconds);
  const nanoseconds elapsed = std::max(nanoseconds(0), nanoseconds(now - began));
  if (elapsed >= window) return {};
  const auto step = elapsed * kClimbSteps / window;
  const double part = static_cast<double>(step) / kClimbSteps;
  const double share = kFirstShare + (1 - kFirstShare) * std::pow(part, settings.slow_start_exponent);
  const auto factor = static_cast<uint32_t>(std::lround(share * kWholeClimb));
  // Rounded up, so that the step is taken by then.
  const nanoseconds until = (window * (step + 1) + nanoseconds(kClimbSteps - 1)) / kClimbSteps;
  return {.factor = std::min(factor, kWholeClimb - 1), .next_at = began + until};
}

RealClimbs NextClimbsOf(const VipSettings& settings, const VipMoment& before, const VipMoment& after,
                        const RealClimbs& climbs, SteadyTime now) {
  RealClimbs next;
  if (settings.slow_start_seconds == 0) return next;
  std::vector<IpAddress> beginners;
  bool some_at_top = false;
  SteadyTime first_began = now;
  for (const auto& [address, real] : after.vip.reals) {
    if (!MayServe(after, address, real)) continue;
    const bool counts = TakesNewFlows(after.vip, real) && !real.canary_tenths;
    const auto climb = climbs.find(address);
    if (climb != climbs.end() && !ClimbAt(settings, climb->second, now).ended()) {
      next.emplace_hint(next.end(), address, climb->second);
      if (counts) first_began = std::min(first_began, climb->second);
    } else if (climb == climbs.end() && Begins(before, address)) {
      beginners.push_back(address);
    } else {
      some_at_top |= counts;
    }
  }
  for (const IpAddress& address : beginners) next.emplace(address, some_at_top ? now : first_began);
  return next;
}

}  // namespace shunt

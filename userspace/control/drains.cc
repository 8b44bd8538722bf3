// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/drains.h"

#include <algorithm>

namespace shunt {
namespace {

using std::chrono::seconds;

constexpr seconds kAgain{1};

// 0: it is not there.
uint16_t IndexOf(const PlannedVip& vip, const IpAddress& address) {
  const auto found = std::ranges::find_if(vip.reals, [&](const auto& real) { return real.second.address == address; });
  return found == vip.reals.end() ? uint16_t{0} : found->first;
}

// A draining real is no slot's current one, so only slots with a previous one can name it.
bool IsNamed(const PlannedVip& vip, uint16_t index) {
  return std::ranges::any_of(vip.unsettled, [&](const UnsettledSlot& unsettled) {
    return (*vip.ring)[unsettled.slot].previous_real == index;
  });
}

}  // namespace

void Drains::Note(const DesiredState& desired, const Plan& plan, SteadyTime now) {
  std::map<std::pair<VipKey, IpAddress>, Drain> next;
  due_at_ = SteadyTime::max();
  for (const auto& [key, vip] : desired.vips) {
    for (const auto& [address, real] : vip.reals) {
      if (real.state != RealState::kDrain || !real.drain_seconds) continue;
      const auto known = drains_.find({key, address});
      Drain drain = known == drains_.end() ? Drain{.begun = now, .unnamed_since = {}} : known->second;
      const PlannedVip& planned = plan.vips.at(key);
      if (IsNamed(planned, IndexOf(planned, address))) {
        drain.unnamed_since.reset();
      } else if (!drain.unnamed_since) {
        drain.unnamed_since = now;
      }
      due_at_ = std::min(due_at_, std::max(drain.begun + seconds(*real.drain_seconds), drain.not_before));
      next.emplace_hint(next.end(), std::pair(key, address), drain);
    }
  }
  drains_ = std::move(next);
}

std::vector<EndedDrain> Drains::Ended(const DesiredState& desired, const Plan& plan, const FlowCensus& census,
                                      SteadyTime now) {
  std::vector<EndedDrain> ended;
  due_at_ = SteadyTime::max();
  for (auto& [name, drain] : drains_) {
    const auto& [key, address] = name;
    const PlannedVip& planned = plan.vips.at(key);
    const bool seen = drain.unnamed_since && *drain.unnamed_since < census.begun;
    const bool flows_are_gone = seen && census.OfReal(planned.entry.id, IndexOf(planned, address)) == 0;
    const SteadyTime up_at = drain.begun + seconds(*desired.vips.at(key).reals.at(address).drain_seconds);
    if (now >= drain.not_before && (flows_are_gone || now >= up_at)) {
      ended.push_back({.vip = key, .real = address, .flows_are_gone = flows_are_gone});
      drain.not_before = now + kAgain;
    }
    due_at_ = std::min(due_at_, std::max(up_at, drain.not_before));
  }
  return ended;
}

}  // namespace shunt

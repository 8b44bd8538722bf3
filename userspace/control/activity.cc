// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/activity.h"

#include <utility>
#include <vector>

namespace shunt {

Result<std::map<VipKey, VipActivity>> ActivityMeter::Turn(const Plan& plan, SteadyTime now) {
  std::vector<uint32_t> ids;
  std::vector<uint32_t> entries;
  for (const auto& [key, vip] : plan.vips) {
    ids.push_back(vip.entry.id);
    for (const auto& [index, real] : vip.reals) entries.push_back(vip.entry.real_base + index);
  }
  const auto vip_traffic = dataplane_.ReadVipTraffic(ids);
  if (!vip_traffic) return std::unexpected(vip_traffic.error());
  const auto real_traffic = dataplane_.ReadRealTraffic(entries);
  if (!real_traffic) return std::unexpected(real_traffic.error());
  const auto flows = dataplane_.ReadFlowEstimates(entries);
  if (!flows) return std::unexpected(flows.error());
  if (auto turned = dataplane_.TurnFlowEstimates(); !turned) return std::unexpected(turned.error());

  const double seconds = last_turn_ ? std::chrono::duration<double>(now - *last_turn_).count() : 0;
  std::map<RealName, uint64_t> counted;
  const auto rate = [&](RealName name, const Traffic& traffic) {
    counted[name] = traffic.new_flows;
    const auto before = new_flows_.find(name);
    const uint64_t base = before == new_flows_.end() || before->second > traffic.new_flows ? 0 : before->second;
    return seconds > 0 ? static_cast<double>(traffic.new_flows - base) / seconds : 0;
  };
  std::map<VipKey, VipActivity> all;
  size_t vips = 0;
  size_t reals = 0;
  for (const auto& [key, vip] : plan.vips) {
    VipActivity activity;
    activity.vip.new_flows_per_second = rate({vip.entry.id, 0}, (*vip_traffic)[vips++]);
    for (const auto& [index, real] : vip.reals) {
      const Activity of_real{.flows = (*flows)[reals],
                             .new_flows_per_second = rate({vip.entry.id, index}, (*real_traffic)[reals])};
      ++reals;
      activity.vip.flows += of_real.flows;
      activity.reals.emplace_hint(activity.reals.end(), index, of_real);
    }
    all.emplace_hint(all.end(), key, std::move(activity));
  }
  new_flows_ = std::move(counted);
  last_turn_ = now;
  return all;
}

}  // namespace shunt

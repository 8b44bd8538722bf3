// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/counters.h"

#include <vector>

namespace shunt {

Result<Counters> ReadCounters(Dataplane& dataplane, const Plan& plan) {
  std::vector<uint32_t> vip_ids;
  std::vector<uint32_t> entries;
  for (const auto& [key, vip] : plan.vips) {
    vip_ids.push_back(vip.entry.id);
    for (const auto& [index, real] : vip.reals) entries.push_back(vip.entry.real_base + index);
  }
  const auto vips = dataplane.ReadVipTraffic(vip_ids);
  if (!vips) return std::unexpected(vips.error());
  const auto reals = dataplane.ReadRealTraffic(entries);
  if (!reals) return std::unexpected(reals.error());

  Counters counters;
  auto vip_traffic = vips->begin();
  auto real_traffic = reals->begin();
  for (const auto& [key, vip] : plan.vips) {
    VipCounters& of_vip = counters[key];
    of_vip.vip = *vip_traffic++;
    for (const auto& [index, real] : vip.reals) of_vip.reals[index] = *real_traffic++;
  }
  return counters;
}

bool TellsNewFlows(const VipKey& key, const VipEntry& vip) {
  return key.protocol == Protocol::kTcp || vip.quic || vip.tracking == Tracking::kAll;
}

}  // namespace shunt

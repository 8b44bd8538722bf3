// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/plan.h"

namespace shunt {

std::map<IpAddress, AddressEntry> AddressesOf(const Plan& plan) {
  std::map<IpAddress, AddressEntry> addresses;
  for (const auto& [key, vip] : plan.vips) {
    AddressEntry& entry = addresses[key.address];
    (key.protocol == Protocol::kTcp ? entry.has_tcp : entry.has_udp) = true;
  }
  return addresses;
}

std::vector<UnsettledSlot> UnsettledOf(const Ring& ring, SteadyTime changed_at) {
  std::vector<UnsettledSlot> unsettled;
  for (uint32_t slot = 0; slot < ring.size(); ++slot)
    if (ring[slot].previous_real != 0) unsettled.push_back({slot, changed_at});
  return unsettled;
}

}  // namespace shunt

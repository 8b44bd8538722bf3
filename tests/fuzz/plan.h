// SPDX-License-Identifier: Apache-2.0
// The plan that fuzzers walk packets through: VIPs of every kind of tracking, with reals of both families and a ring
// whose slots are stable, moving and settled with exceptions. Included by frames.cc and questions.cc, by nobody else.
#pragma once

#include <memory>

#include "userspace/dataplane/plan.h"

namespace shunt {

inline PlannedVip FuzzVip(uint32_t id, Tracking tracking, bool quic) {
  RealEntry near, far;
  near.address = *IpAddress::Parse("10.0.0.11");
  near.outer = OuterHeader{.next_hop = {}, .ttl = 64, .spread_bits = 8};
  near.outer->next_hop.source = *IpAddress::Parse("10.0.0.0");
  near.outer->next_hop.mtu_bytes = 1500;
  far = near;
  far.address = *IpAddress::Parse("2001:db8::11");
  far.outer->next_hop.source = *IpAddress::Parse("2001:db8::");
  PlannedVip vip;
  vip.entry = {.id = id, .tracking = tracking, .quic = quic, .real_base = 4 * id, .real_capacity = 4, .ring_slots = 3};
  vip.ring = std::make_shared<const Ring>(Ring{{1, 0, false}, {2, 1, false}, {2, 2, true}});
  vip.reals = {{uint16_t{1}, near}, {uint16_t{2}, far}};
  return vip;
}

inline Plan FuzzPlan() {
  Plan plan;
  plan.vips = {{*VipKey::Parse("203.0.113.10:80/tcp"), FuzzVip(1, Tracking::kMoving, false)},
               {*VipKey::Parse("203.0.113.10:*/udp"), FuzzVip(2, Tracking::kAll, true)},
               {*VipKey::Parse("[2001:db8:1::10]:443/udp"), FuzzVip(3, Tracking::kNone, true)},
               {*VipKey::Parse("[2001:db8:1::10]:80/tcp"), FuzzVip(4, Tracking::kMoving, false)}};
  return plan;
}

}  // namespace shunt

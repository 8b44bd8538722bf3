// SPDX-License-Identifier: Apache-2.0
// Plans for the data-plane and contract tests: VIPs with hand-made rings, and how they get into a data plane.
// Not here: the planner; what a plan should be is not asked.
#pragma once

#include <string_view>
#include <vector>

#include "userspace/dataplane/dataplane.h"

namespace shunt::test {

inline constexpr uint32_t kIngress = 1;  // loopback: the one interface a test run may name without attaching
inline constexpr uint32_t kOtherInterface = 2;

IpAddress Address(std::string_view text);
VipKey Vip(std::string_view text);

struct RealSpec {
  std::string_view address;
  uint32_t interface_index = kIngress;
  uint32_t mtu_bytes = 1500;
  std::string_view source = {};  // outer; unset: 10.0.0.2 or 2001:db8:7::2
  uint8_t spread_bits = 0;
  uint8_t ttl = 64;
  bool resolved = true;
  bool serves = true;
};

// The frame's MAC addresses are 02:00:00:00:00:01 and, of the gateway, 02:00:00:00:0b and the address's last byte.
RealEntry MakeReal(const RealSpec& spec);

struct VipSpec {
  std::string_view vip;
  std::vector<RealSpec> reals = {};  // indices 1, 2, …
  Tracking tracking = Tracking::kNone;
  std::vector<uint16_t> ring = {};  // slot → index; unset: every real has one slot
  bool no_slots = false;
  Ring slots = {};  // in place of `ring`, where slots have previous reals
  bool quic = false;
};

// Ids are 1, 2, … in the order given; ranges of the real table follow one another.
Plan MakePlan(const std::vector<VipSpec>& vips);

Ring RingOf(const std::vector<uint16_t>& owners);

// The plan's VIP has this ring, of any size.
void GiveRing(Plan& plan, const VipKey& vip, Ring ring);

// Makes a data plane hold this plan; reals that it does not have stay.
Status Install(Dataplane& dataplane, const Plan& plan);

}  // namespace shunt::test

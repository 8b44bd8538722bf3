// SPDX-License-Identifier: Apache-2.0
// The plan: what the data plane is to hold, in model terms; plain values. The planner makes it, a data plane
// that was read back is one too. Not here: how a plan is made (control/planner.h) or stored (encode.h).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "userspace/model/desired_state.h"
#include "userspace/net/address.h"
#include "userspace/net/endpoint.h"
#include "userspace/net/next_hop.h"

namespace shunt {

using SteadyTime = std::chrono::steady_clock::time_point;

// Indices of the VIP's own reals, 1 to kMaxRealIndex; 0 = none. What the states mean: control/tracking.md.
struct RingSlot {
  uint16_t current_real = 0;
  uint16_t previous_real = 0;  // 0: stable; another than current_real: moving; the same: settled with exceptions
  bool hold = false;           // moving only: for now new flows, too, go to the previous real
  bool operator==(const RingSlot&) const = default;
};
using Ring = std::vector<RingSlot>;

inline bool IsMoving(const RingSlot& slot) {
  return slot.previous_real != 0 && slot.previous_real != slot.current_real;
}

inline constexpr uint16_t kMaxRealIndex = 32767;

// A slot that is not stable.
struct UnsettledSlot {
  uint32_t slot = 0;
  SteadyTime changed_at;  // when its current or previous real changed last
  bool operator==(const UnsettledSlot&) const = default;
};

using FlowHashKey = std::array<uint64_t, 2>;

// What encapsulation writes in front of a packet for one real.
struct OuterHeader {
  NextHop next_hop;         // source: the outer source, with spread_bits low bits zero; mtu_bytes at most 65535
  uint8_t ttl = 64;         // or hop limit
  uint8_t spread_bits = 0;  // low bits of the source taken from the flow hash; 0 to 32
  bool operator==(const OuterHeader&) const = default;
};

// One entry of the real table.
struct RealEntry {
  IpAddress address;
  std::optional<OuterHeader> outer;  // unset: no next hop; packets are dropped as DROP_NO_NEXT_HOP
  // False: clients' packets never go there, a flow that names it is a miss; only probes take its outer header.
  bool serves = true;
  bool operator==(const RealEntry&) const = default;
};

// One entry of the VIP table.
struct VipEntry {
  uint32_t id = 0;  // 1 to max_vips
  Tracking tracking = Tracking::kNone;
  bool quic = false;           // UDP: QUIC long headers tell which packets open a flow
  uint32_t real_base = 0;      // entry of the real table that index 0 stands for; index 0 is never a real
  uint32_t real_capacity = 0;  // entries that belong to the VIP, a power of two
  uint32_t ring_slots = 0;     // 0 = no real takes traffic
  FlowHashKey flow_hash_key{};
  bool operator==(const VipEntry&) const = default;
};

// A real that takes new flows, and its share.
struct RingMember {
  uint16_t index = 0;
  uint32_t weight = 0;  // as control/weights.h has it
  bool operator==(const RingMember&) const = default;
};

struct PlannedVip {
  VipEntry entry;
  std::shared_ptr<const Ring> ring;      // never null; entry.ring_slots long
  std::vector<UnsettledSlot> unsettled;  // exactly the slots with a previous real, in their order; the planner's
                                         // memory, no part of what the data plane holds
  std::map<uint16_t, RealEntry> reals;   // by index; drained, weightless and down ones too
  // What the ring's current reals were computed from; the planner's memory. Unset: not known (it was read back).
  std::optional<std::vector<RingMember>> members;
};

// An address that some VIP has; lets the data plane tell "ours" when ports cannot be read.
struct AddressEntry {
  bool has_tcp = false;
  bool has_udp = false;
  bool operator==(const AddressEntry&) const = default;
};

// Ids, indices and table ranges that were freed lately; not handed out before the time given.
struct Resting {
  struct Range {
    uint32_t base = 0;
    uint32_t capacity = 0;
    SteadyTime until;
  };
  std::map<uint32_t, SteadyTime> vip_ids;
  std::map<uint32_t, std::map<uint16_t, SteadyTime>> real_indices;  // by VIP id
  std::vector<Range> ranges;
};

struct Plan {
  std::map<VipKey, PlannedVip> vips;
  Resting resting;  // the planner's memory; no part of what the data plane holds
};

// The address entries that follow from the plan's VIPs.
std::map<IpAddress, AddressEntry> AddressesOf(const Plan& plan);

// The slots with a previous real, in their order, all taken to have changed at `changed_at`: for a plan that was read
// back.
std::vector<UnsettledSlot> UnsettledOf(const Ring& ring, SteadyTime changed_at);

}  // namespace shunt

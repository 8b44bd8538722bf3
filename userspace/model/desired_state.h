// SPDX-License-Identifier: Apache-2.0
// The desired state as plain values: what the operator asked for, complete and without a word about how. The
// store keeps it as YAML (store_file.h), the API as protobuf (config.proto); both say the same.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "userspace/net/address.h"
#include "userspace/net/endpoint.h"

namespace shunt {

using HashKey = std::array<uint8_t, 16>;  // 128 bits, the same on every balancer of a VIP

enum class Tracking : uint8_t {
  kNone,    // the ring alone decides; flows may move when the ring changes
  kAll,     // every flow is remembered; the oldest gives way when the table is full
  kMoving,  // flows are remembered only where the ring changed hands, until it has settled (control/tracking.md)
};

enum class RealState : uint8_t {
  kActive,
  kDrain,  // no new flows, the remembered ones stay
};

inline constexpr uint32_t kMaxWeight = 65535;
inline constexpr uint32_t kDefaultWeight = 10;
inline constexpr uint32_t kMaxRealsPerVip = 16383;
inline constexpr uint32_t kMaxIdleSeconds = 21600;  // the flow table tells times up to 9 hours apart

struct Real {
  uint32_t weight = kDefaultWeight;  // 0 to kMaxWeight; 0 takes no new flows
  RealState state = RealState::kActive;
  bool operator==(const Real&) const = default;
};

// What a VIP takes from `defaults` unless it says otherwise.
struct VipSettings {
  Tracking tracking = Tracking::kMoving;
  uint32_t ring_size = 65537;  // slots; a prime up to 655373
  uint8_t outer_ttl = 64;      // TTL or hop limit of the outer header; 1 to 255
  // A flow that is silent for longer may be sent to another real after a change of the ring. 1 to kMaxIdleSeconds.
  uint32_t udp_idle_seconds = 60;     // UDP: also how long after a change unknown flows count as old ones
  uint32_t tcp_settle_seconds = 600;  // TCP
  bool operator==(const VipSettings&) const = default;
};

struct Vip {
  std::optional<Tracking> tracking;
  std::optional<uint32_t> ring_size;
  std::optional<uint8_t> outer_ttl;
  std::optional<uint32_t> udp_idle_seconds;
  std::optional<uint32_t> tcp_settle_seconds;
  bool quic = false;                // UDP only: QUIC's long headers tell which packets open a flow (RFC 9000, RFC 9369)
  std::map<IpAddress, Real> reals;  // by address
  bool operator==(const Vip&) const = default;
};

// Outer source addresses, spread over a prefix so that the reals' NIC queues share the load. Unset: the
// balancer's own address towards the real. At most the low 32 bits are spread.
struct OuterSource {
  std::optional<Prefix> ipv4;
  std::optional<Prefix> ipv6;
  bool operator==(const OuterSource&) const = default;
};

struct DesiredState {
  HashKey hash_key{};  // all zero = not made yet; the daemon makes one at its first start
  VipSettings defaults;
  OuterSource outer_source;
  std::map<VipKey, Vip> vips;
  bool operator==(const DesiredState&) const = default;
};

// The settings in force for one VIP: its own, or the defaults.
VipSettings EffectiveSettings(const DesiredState& state, const Vip& vip);

}  // namespace shunt

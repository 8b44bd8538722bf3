// SPDX-License-Identifier: Apache-2.0
// The desired state as plain values: what the operator asked for, complete and without a word about how. The
// store keeps it as YAML (store_file.h), the API as protobuf (config.proto); both say the same.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "userspace/model/announce.h"
#include "userspace/model/health_check.h"
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
inline constexpr uint32_t kMaxSlowStartSeconds = 3600;
inline constexpr double kMinSlowStartExponent = 0.1;
inline constexpr double kMaxSlowStartExponent = 10;

inline constexpr uint32_t kMaxDrainSeconds = 7 * 86400;
inline constexpr uint32_t kMinCanaryTenths = 1;    // 0.1 %
inline constexpr uint32_t kMaxCanaryTenths = 500;  // 50 %
inline constexpr uint32_t kMaxCanaryTenthsOfVip = 900;

struct Real {
  uint32_t weight = kDefaultWeight;  // 0 to kMaxWeight; 0 takes no new flows
  RealState state = RealState::kActive;
  // Draining: removed from the VIP when its flows are gone, or after so long; unset: it stays until somebody removes
  // it.
  std::optional<uint32_t> drain_seconds{};  // 1 to kMaxDrainSeconds
  bool backup = false;                      // takes new flows only while too few of the others can
  std::optional<uint32_t> canary_tenths{};  // tenths of a per cent of all new flows, in place of its weight
  std::string group{};                      // takes new flows only while this is the VIP's active group; empty: always
  bool operator==(const Real&) const = default;
};

// What happens to a VIP when less than panic_percent of its weight is healthy.
enum class PanicAction : uint8_t {
  kFailOpen,    // its reals take traffic whether their checks pass or not
  kFailClosed,  // only healthy reals do, if there are any
  kWithdraw,    // the same, and the VIP is not to be announced
};

// What a VIP takes from `defaults` unless it says otherwise.
struct VipSettings {
  Tracking tracking = Tracking::kMoving;
  uint32_t ring_size = 65537;  // slots; a prime up to 655373
  uint8_t outer_ttl = 64;      // TTL or hop limit of the outer header; 1 to 255
  // A flow that is silent for longer may be sent to another real after a change of the ring. 1 to kMaxIdleSeconds.
  uint32_t udp_idle_seconds = 60;     // UDP: also how long after a change unknown flows count as old ones
  uint32_t tcp_settle_seconds = 600;  // TCP
  HealthCheck health{};               // kind none: every real counts as healthy
  uint32_t panic_percent = 50;        // 0 to 100; 0 = never
  PanicAction panic_action = PanicAction::kFailOpen;
  // A real that is new, comes up or is drained no longer climbs from 1 % to its weight in this time; 0 = at once. After
  // a part t of it, it has 0.01 + 0.99 * t^exponent of its weight.
  uint32_t slow_start_seconds = 30;       // up to kMaxSlowStartSeconds
  double slow_start_exponent = 1;         // 0.1 to 10; 1 is linear, above it begins slower
  uint32_t backup_below_percent = 50;     // backups join when less of the other reals' weight is healthy; 1 to 100
  uint32_t ring_changes_per_second = 20;  // at most so many that health or slow start cause; 1 to 100
  AnnounceSettings announce{};            // of the defaults; PolicyOf() puts a VIP's own onto them
  bool operator==(const VipSettings&) const = default;
};

struct Vip {
  std::optional<Tracking> tracking;
  std::optional<uint32_t> ring_size;
  std::optional<uint8_t> outer_ttl;
  std::optional<uint32_t> udp_idle_seconds;
  std::optional<uint32_t> tcp_settle_seconds;
  std::optional<HealthCheck> health{};  // whole: what it does not say is not taken from the defaults' check
  std::optional<uint32_t> panic_percent{};
  std::optional<PanicAction> panic_action{};
  std::optional<uint32_t> slow_start_seconds{};
  std::optional<double> slow_start_exponent{};
  std::optional<uint32_t> backup_below_percent{};
  std::optional<uint32_t> ring_changes_per_second{};
  AnnounceSettings announce{};
  std::string active_group{};       // the group of reals that takes new flows; empty: only reals without a group do
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

// This host as a whole.
enum class HostState : uint8_t {
  kServe,
  kDrain,  // its VIPs are not to be announced; packets that come all the same are balanced
};

struct DesiredState {
  HashKey hash_key{};  // all zero = not made yet; the daemon makes one at its first start
  VipSettings defaults;
  OuterSource outer_source;
  // In what is asked for, unset: as it is, so that one file for many hosts does not undrain one. In force and in the
  // store, unset: kServe, which is never said there.
  std::optional<HostState> host{};
  std::map<VipKey, Vip> vips;
  bool operator==(const DesiredState&) const = default;
};

// What `wanted` leaves out, since it may be for many hosts, is as in `in_force`.
void FillFromForce(const DesiredState& in_force, DesiredState& wanted);

// The settings in force for one VIP: its own, or the defaults.
VipSettings EffectiveSettings(const DesiredState& state, const Vip& vip);

}  // namespace shunt

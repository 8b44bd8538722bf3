// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/default_store.h"

#include <fmt/format.h>

#include "tools/shuntctl/format.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/desired_state.h"

namespace shunt::ctl {

std::string DefaultStore() {
  const VipSettings defaults;
  return fmt::format(
      R"(# The desired state of a Shunt balancer: every key with its default. Lines that begin with #: are
# examples of keys that are absent by default; remove the #: to set them. More in shunt.yaml(5).

# The secret that all balancers of a VIP share: 128 bits in hexadecimal. Absent: the one in force stays,
# and the daemon makes one at its first start.
#:hash_key: "0x00112233445566778899aabbccddeeff"

# What a VIP takes unless it says otherwise.
defaults:
  # moving: when the ring changes, flows of the slots that changed hands are remembered until those have settled, so
  # that every flow keeps its real; between changes nothing is remembered, and a packet costs the same for any number
  # of flows.
  # all: every flow is remembered, always; needs a table as large as there are flows.
  # none: the ring alone decides; flows may move when the ring changes.
  tracking: {tracking}
  # Slots of a VIP's ring: a prime, at most 655373; about 100 for each real give even shares.
  ring_size: {ring_size}
  # TTL or hop limit of the outer header: 1 to 255.
  outer_ttl: {outer_ttl}
  # A flow that is silent for longer may go to another real after a change of the ring: 1 to {max_seconds}.
  # UDP: longer than clients stay silent; also how long after a change unknown flows of plain UDP count as old ones.
  udp_idle_seconds: {udp_idle}
  # TCP: how long a change of the ring takes to settle.
  tcp_settle_seconds: {tcp_settle}

# Prefixes that outer source addresses are spread over, so that the queues of the reals' NICs share the load.
# Absent: the balancer's own address towards the real.
#:outer_source:
#:  ipv4: "10.9.0.0/16"          # /8 to /32
#:  ipv6: "2001:db8:9::/96"      # at most the low 32 bits are spread

# The VIPs, each with its reals. To set some remove the [] too.
vips: []
#:  - vip: "203.0.113.10:443/tcp"   # ADDRESS:PORT/PROTOCOL; port * is every port, protocol tcp or udp
#:    encap: ipip                   # IP in IP, the default and the only one
#:    tracking: {tracking}              # for this VIP; absent: as in defaults
#:    ring_size: {ring_size}
#:    outer_ttl: {outer_ttl}
#:    udp_idle_seconds: {udp_idle}
#:    tcp_settle_seconds: {tcp_settle}
#:    quic: false                   # true, for UDP: QUIC's long headers tell which packets open a flow
#:    reals:
#:      - address: "10.0.0.11"      # IPv4 or IPv6, whatever the VIP is
#:        weight: {weight}                # share of new flows, 0 to {max_weight}; 0 takes none
#:        state: active             # drain: no new flows, keep the old ones
)",
      fmt::arg("tracking", Name(TrackingToProto(defaults.tracking))), fmt::arg("udp_idle", defaults.udp_idle_seconds),
      fmt::arg("tcp_settle", defaults.tcp_settle_seconds), fmt::arg("max_seconds", kMaxIdleSeconds),
      fmt::arg("ring_size", defaults.ring_size), fmt::arg("outer_ttl", defaults.outer_ttl),
      fmt::arg("weight", kDefaultWeight), fmt::arg("max_weight", kMaxWeight));
}

}  // namespace shunt::ctl

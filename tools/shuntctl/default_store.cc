// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/default_store.h"

#include <fmt/format.h>

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
  # all: every flow is remembered in a table, so that it keeps its real when reals change.
  # none: the ring alone decides; flows may move when the ring changes.
  tracking: {tracking}
  # Slots of a VIP's ring: a prime, at most 655373; about 100 for each real give even shares.
  ring_size: {ring_size}
  # TTL or hop limit of the outer header: 1 to 255.
  outer_ttl: {outer_ttl}

# Prefixes that outer source addresses are spread over, so that the queues of the reals' NICs share the load.
# Absent: the balancer's own address towards the real.
#:outer_source:
#:  ipv4: "10.9.0.0/16"          # /8 to /32
#:  ipv6: "2001:db8:9::/96"      # at most the low 32 bits are spread

# The VIPs, each with its reals. To set some remove the [] too.
vips: []
#:  - vip: "203.0.113.10:443/tcp"   # ADDRESS:PORT/PROTOCOL; port * is every port, protocol tcp or udp
#:    encap: ipip                   # IP in IP, the default and the only one
#:    tracking: {tracking}                 # for this VIP; absent: as in defaults
#:    ring_size: {ring_size}
#:    outer_ttl: {outer_ttl}
#:    reals:
#:      - address: "10.0.0.11"      # IPv4 or IPv6, whatever the VIP is
#:        weight: {weight}                # share of new flows, 0 to {max_weight}; 0 takes none
#:        state: active             # drain: no new flows, keep the old ones
)",
      fmt::arg("tracking", defaults.tracking == Tracking::kAll ? "all" : "none"),
      fmt::arg("ring_size", defaults.ring_size), fmt::arg("outer_ttl", defaults.outer_ttl),
      fmt::arg("weight", kDefaultWeight), fmt::arg("max_weight", kMaxWeight));
}

}  // namespace shunt::ctl

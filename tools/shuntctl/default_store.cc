// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/default_store.h"

#include <fmt/format.h>

#include "tools/shuntctl/format.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/health_fields.h"

namespace shunt::ctl {

std::string DefaultStore() {
  const VipSettings defaults;
  const HealthCheck& check = defaults.health;
  const AnnouncePolicy policy;
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
  # How the reals are asked whether they serve; absent: they are not, and every one counts as healthy. Below, under a
  # VIP, stands every key. A VIP with a check of its own takes nothing of this one.
#:  health: {{ kind: tcp }}
  # Panic, when less than this part of the reals' weight is healthy: 0 to 100; 0 is never.
  panic_percent: {panic_percent}
  # fail_open: in a panic all reals take traffic; fail_closed: only healthy ones; withdraw: the same, and the VIP is not
  # to be announced.
  panic_action: {panic_action}
  # A real that is new, comes up or is drained no longer climbs from 1 % to its weight in this time: 0 to {max_climb};
  # 0 is at once.
  slow_start_seconds: {slow_start}
  # How it climbs: 1 is linear, above it begins slower: {min_exponent} to {max_exponent}.
  slow_start_exponent: {exponent}
  # Backups join when less than this part of the other reals' weight is healthy: 1 to 100.
  backup_below_percent: {backup_below}
  # At most so many changes of a VIP's ring a second that health or slow start cause: 1 to 100.
  ring_changes_per_second: {ring_changes}
  # When and how VIPs are announced. Below, under a VIP, stands every key; a VIP takes what it does not say from here.
#:  announce: {{ hold_seconds: {hold} }}

# Prefixes that outer source addresses are spread over, so that the queues of the reals' NICs share the load.
# Absent: the balancer's own address towards the real.
#:outer_source:
#:  ipv4: "10.9.0.0/16"          # /8 to /32
#:  ipv6: "2001:db8:9::/96"      # at most the low 32 bits are spread

# This host as a whole. drain: its VIPs are not to be announced. Absent in a file that is applied: as it is, so that one
# file for many hosts does not undrain one.
#:host:
#:  state: serve

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
#:    health:                       # a check of its own, whole; absent: as in defaults. Keys behind a second # take
#:                                  # nothing when absent, or belong to other kinds.
#:      kind: http                  # none, tcp, http, https, http2, grpc, udp, dns, tls, icmp or exec
#:      via: tunnel                 # to the VIP in the outer header that data gets; direct: to the real itself
#:      # port: 8080                # absent: the VIP's
#:      interval_ms: {interval}           # from one probe to the next: {min_interval} to {max_interval}
#:      # failing_interval_ms: 1000 # the same when down, or, if shorter, on the way; absent: interval_ms
#:      timeout_ms: {timeout}            # {min_timeout} to {max_timeout}, at most the intervals
#:      rise: {rise}                     # passes in a row that make a real up: 1 to {max_rise}
#:      fall: {fall}                     # failures in a row that make it down: 1 to {max_rise}
#:      jitter_percent: {jitter}          # intervals differ at random by so much at most: 0 to {max_jitter}
#:      initial: down               # up: a new real takes traffic before its first pass
#:      # http, https, http2:
#:      method: {method}
#:      path: "{path}"
#:      # host: "www.example.com"   # absent: the VIP's address
#:      status: "{status}"           # status codes and ranges that pass: "200-299,304"
#:      # body: "text"              # that the first 64 KiB of the answer hold; absent: any
#:      # https, tls; http2 and grpc with tls: true:
#:      # tls: true
#:      # tls_verify: true
#:      # tls_name: "www.example.com"               # SNI, and the name that is verified; absent: host
#:      # tls_ca: "/etc/shunt/ca.pem"               # absent: the system's
#:      # tls_certificate: "/etc/shunt/client.pem"  # absent: none
#:      # tls_key: "/etc/shunt/client.key"
#:      # grpc_service: "shop.Cart" # grpc; absent: the whole server
#:      # send: "0x00ff"            # udp: text, or 0x and hexadecimal digits
#:      # expect: "PONG"            # udp: how the answer begins; absent: any
#:      # dns_name: "{dns_name}"             # dns
#:      # dns_type: {dns_type}              # dns: a, aaaa, ns, soa or txt
#:      # dns_expect: "192.0.2.1"   # dns, a and aaaa: an address that the answer holds; absent: any without an error
#:      # command: [ "/usr/local/bin/probe", "--fast" ]  # exec: a program's absolute path, and its arguments
#:      # user: {user}              # exec: who runs it
#:    panic_percent: {panic_percent}
#:    panic_action: {panic_action}
#:    slow_start_seconds: {slow_start}
#:    slow_start_exponent: {exponent}
#:    backup_below_percent: {backup_below}
#:    ring_changes_per_second: {ring_changes}
#:    announce:
#:      state: up                   # down: never announced
#:      min_reals: {min_reals}                # healthy ones that it takes to be announced; 0: none
#:      min_percent: {min_percent}              # and healthy part of the weight: 0 to 100
#:      return_reals: {min_reals}             # the same to be announced again; at least as much
#:      return_percent: {min_percent}
#:      on_unhealthy: withdraw      # lower: with too few it stays announced, less preferred
#:      on_drain: withdraw          # the same when the host drains
#:      required: false             # true: the prefix of several VIPs goes with this one
#:      preference: {preference}             # {min_preference} to {max_preference}, the less the more preferred: the metric of the route
#:      # prefix: "203.0.113.0/24"  # absent: the VIP's address
#:      hold_seconds: {hold}             # from a loss to the next announcement; each that follows soon doubles it,
#:      max_hold_seconds: {max_hold}       # up to this: 0 to {most_hold}
#:      # communities: [ "64512:100", "64512:1:2" ]   # for the speaker
#:    # active_group: "blue"        # reals of this group take new flows, and those without one; absent: only these
#:    reals:
#:      - address: "10.0.0.11"      # IPv4 or IPv6, whatever the VIP is
#:        weight: {weight}                # share of new flows, 0 to {max_weight}; 0 takes none
#:        state: active             # drain: no new flows, keep the old ones
#:        # drain_seconds: 300      # with drain: then it is removed, when its flows are gone or after this time
#:        backup: false             # true: new flows only while too few of the others are healthy
#:        # canary_percent: 0.5     # share of all new flows in place of the weight: 0.1 to 50
#:        # group: "blue"           # new flows only while this is the VIP's active group
)",
      fmt::arg("tracking", Name(TrackingToProto(defaults.tracking))), fmt::arg("udp_idle", defaults.udp_idle_seconds),
      fmt::arg("tcp_settle", defaults.tcp_settle_seconds), fmt::arg("max_seconds", kMaxIdleSeconds),
      fmt::arg("ring_size", defaults.ring_size), fmt::arg("outer_ttl", defaults.outer_ttl),
      fmt::arg("weight", kDefaultWeight), fmt::arg("max_weight", kMaxWeight),
      fmt::arg("panic_percent", defaults.panic_percent), fmt::arg("panic_action", ToString(defaults.panic_action)),
      fmt::arg("slow_start", defaults.slow_start_seconds), fmt::arg("max_climb", kMaxSlowStartSeconds),
      fmt::arg("exponent", defaults.slow_start_exponent), fmt::arg("min_exponent", kMinSlowStartExponent),
      fmt::arg("max_exponent", kMaxSlowStartExponent), fmt::arg("backup_below", defaults.backup_below_percent),
      fmt::arg("ring_changes", defaults.ring_changes_per_second), fmt::arg("interval", check.interval_ms),
      fmt::arg("min_interval", kMinIntervalMs), fmt::arg("max_interval", kMaxIntervalMs),
      fmt::arg("timeout", check.timeout_ms), fmt::arg("min_timeout", kMinTimeoutMs),
      fmt::arg("max_timeout", kMaxTimeoutMs), fmt::arg("rise", check.rise), fmt::arg("fall", check.fall),
      fmt::arg("max_rise", kMaxRiseFall), fmt::arg("jitter", check.jitter_percent),
      fmt::arg("max_jitter", kMaxJitterPercent), fmt::arg("method", check.method), fmt::arg("path", check.path),
      fmt::arg("status", StatusText(check.status)), fmt::arg("dns_name", check.dns_name),
      fmt::arg("dns_type", ToString(check.dns_type)), fmt::arg("user", check.user),
      fmt::arg("min_reals", policy.min_reals), fmt::arg("min_percent", policy.min_percent),
      fmt::arg("preference", policy.preference), fmt::arg("min_preference", kMinPreference),
      fmt::arg("max_preference", kMaxPreference), fmt::arg("hold", policy.hold_seconds),
      fmt::arg("max_hold", policy.max_hold_seconds), fmt::arg("most_hold", kMaxHoldSeconds));
}

}  // namespace shunt::ctl

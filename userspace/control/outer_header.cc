// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/outer_header.h"

#include <algorithm>

namespace shunt {
namespace {

constexpr uint32_t kMaxMtuBytes = 65535;  // an IP length has 16 bits; the loopback interface's MTU is larger
constexpr int kMaxSpreadBits = 32;        // as many as the flow hash lends

}  // namespace

RealEntry MakeRealEntry(const IpAddress& real, const NextHopTable& next_hops, const OuterSource& outer_source,
                        uint8_t outer_ttl) {
  const auto found = next_hops.find(real);
  if (found == next_hops.end() || !found->second.next_hop) return {.address = real, .outer = std::nullopt};
  OuterHeader outer{.next_hop = *found->second.next_hop, .ttl = outer_ttl, .spread_bits = 0};
  outer.next_hop.mtu_bytes = std::min(outer.next_hop.mtu_bytes, kMaxMtuBytes);
  const bool ipv4 = real.family() == Family::kIpv4;
  if (const auto& prefix = ipv4 ? outer_source.ipv4 : outer_source.ipv6) {
    const int host_bits = (ipv4 ? 32 : 128) - prefix->length;
    outer.next_hop.source = prefix->address;
    outer.spread_bits = static_cast<uint8_t>(std::min(kMaxSpreadBits, host_bits));
  }
  return {.address = real, .outer = outer};
}

}  // namespace shunt

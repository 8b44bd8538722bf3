// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/static_next_hops.h"

#include <fmt/format.h>

namespace shunt {

Result<NextHopTable> StaticNextHops::Resolve(const std::set<IpAddress>& reals) {
  NextHopTable table;
  for (const IpAddress& real : reals) {
    const bool ipv4 = real.family() == Family::kIpv4;
    const auto& source = ipv4 ? options_.ipv4_source : options_.ipv6_source;
    NextHopState state;
    if (source) {
      state.next_hop = NextHop{.interface_index = options_.interface_index,
                               .local_mac = options_.local_mac,
                               .gateway_mac = options_.gateway_mac,
                               .source = *source,
                               .mtu_bytes = options_.mtu_bytes};
    } else {
      state.problem = fmt::format("no {} source address towards {} was given", ipv4 ? "IPv4" : "IPv6", real.ToString());
    }
    table.emplace_hint(table.end(), real, std::move(state));
  }
  return table;
}

}  // namespace shunt

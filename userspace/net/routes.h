// SPDX-License-Identifier: Apache-2.0
// What the kernel's routing says about a destination. Not here: links and neighbours.
// Called by next_hop_resolver.cc, on its thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/net/address.h"
#include "userspace/net/netlink.h"

namespace shunt {

struct Route {
  int error = 0;              // errno of a lookup that found no way
  uint8_t type = 0;           // RTN_UNICAST, RTN_LOCAL, …
  bool encapsulated = false;  // a lightweight tunnel (seg6, mpls, …) is part of the route
  uint32_t interface_index = 0;
  std::optional<IpAddress> gateway;  // absent: on link; may be IPv6 for an IPv4 destination
  std::optional<IpAddress> source;   // what the kernel would send from
  uint32_t mtu_bytes = 0;            // the route's own; 0: the link's
};

// Asks the kernel where each destination goes; the answers stand in the order of `destinations`.
Result<std::vector<Route>> LookUpRoutes(NetlinkClient& client, std::span<const IpAddress> destinations);

// Why this route leads to no next hop, as a sentence; empty when it does.
std::string RouteProblem(const IpAddress& destination, const Route& route);

// The destinations a route message (RTM_NEWROUTE, RTM_DELROUTE) is about; absent for another family than IPv4 and IPv6.
std::optional<Prefix> ReadRoutePrefix(const nlmsghdr* message);

}  // namespace shunt

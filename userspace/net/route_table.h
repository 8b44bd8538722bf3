// SPDX-License-Identifier: Apache-2.0
// Routes of our own in a routing table of the kernel that nobody forwards by: a list of prefixes for who reads it, a
// BGP speaker. They are of type blackhole, so that they need no interface and outlive each. Called by bgp/, on its
// thread. Not here: which prefixes (bgp/), what the main table says of a destination (routes.h).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/net/address.h"
#include "userspace/net/netlink.h"

namespace shunt {

struct TableRoute {
  Prefix prefix;
  uint32_t metric = 0;  // not 0; the kernel's priority, the less the better
  auto operator<=>(const TableRoute&) const = default;
};

class RouteTable {
 public:
  // `table`: 1 to 4294967295, but for 253 to 255, the kernel's own. `protocol`: 5 to 255, by which our routes are known
  // from others' (rtnetlink(7), rtm_protocol). `client` is one of OpenForDumps().
  RouteTable(NetlinkClient client, uint32_t table, uint8_t protocol);

  // Those with our protocol, in order.
  Result<std::vector<TableRoute>> Read();
  // Other tables in which routes of our kind and protocol stand, in order. Not of the kernel's own three.
  Result<std::vector<uint32_t>> OtherTables();
  // The first that could not be added, or removed, is the error; all others were. One that is there already, or gone,
  // is none; a route of somebody else in its place is one.
  Status Add(std::span<const TableRoute> routes);
  Status Remove(std::span<const TableRoute> routes);

 private:
  using Take = std::function<void(uint32_t table, const TableRoute& route)>;

  // The routes that needed no change, since the kernel answered `needless`.
  Result<std::vector<TableRoute>> Change(uint16_t type, uint16_t flags, int needless,
                                         std::span<const TableRoute> routes);
  Status ReadOurs(std::optional<uint32_t> table, const Take& take);

  NetlinkClient client_;
  const uint32_t table_;
  const uint8_t protocol_;
};

}  // namespace shunt

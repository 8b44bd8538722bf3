// SPDX-License-Identifier: Apache-2.0
// The kernel's network interfaces, as far as frames leave through them. Called by next_hop_resolver.cc, on its thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/net/mac.h"
#include "userspace/net/netlink.h"

namespace shunt {

struct Link {
  uint32_t index = 0;
  std::string name;
  std::string kind;  // "veth", "vlan", "bridge", …; empty for hardware
  MacAddress mac;
  uint32_t mtu_bytes = 0;
  bool ethernet = false;
  bool up = false;       // by the operator
  bool carrier = false;  // by the cable
  bool operator==(const Link&) const = default;
};

// The links with these indexes, in their order; absent where there is none (any more).
Result<std::vector<std::optional<Link>>> LookUpLinks(NetlinkClient& client, std::span<const uint32_t> indexes);

// Packets that came in by each of these links since it came up, in their order; absent where there is none.
Result<std::vector<std::optional<uint64_t>>> ReadReceivedPackets(NetlinkClient& client,
                                                                 std::span<const uint32_t> indexes);

// A link message (RTM_NEWLINK, RTM_DELLINK); absent when it is about something else, such as a bridge port.
std::optional<Link> ReadLink(const nlmsghdr* message);

// Why XDP cannot send through this link, as a sentence; empty when it can.
std::string LinkProblem(const Link& link);

}  // namespace shunt

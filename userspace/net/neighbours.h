// SPDX-License-Identifier: Apache-2.0
// The kernel's neighbour table (ARP, neighbour discovery): reading entries and having the kernel keep some alive.
// Called by next_hop_resolver.cc, on its thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/net/address.h"
#include "userspace/net/mac.h"
#include "userspace/net/netlink.h"

namespace shunt {

struct NeighbourKey {
  uint32_t interface_index = 0;
  IpAddress address;
  auto operator<=>(const NeighbourKey&) const = default;
};

struct Neighbour {
  enum class State : uint8_t { kAbsent, kResolving, kFailed, kKnown };

  State state = State::kAbsent;
  MacAddress mac;        // when known
  bool fixed = false;    // the operator's or another control plane's word: never touched by us
  bool managed = false;  // the kernel keeps it resolved by itself
  bool ours = false;     // we asked for that
  bool operator==(const Neighbour&) const = default;
};

struct NeighbourMessage {
  NeighbourKey key;
  Neighbour neighbour;
};

// The entries with these keys, in their order.
Result<std::vector<Neighbour>> LookUpNeighbours(NetlinkClient& client, std::span<const NeighbourKey> keys);

// Has the kernel resolve these now and keep them resolved. An errno value for each, 0 where it will.
// The caller looks each up just before: a fixed one must not be among them.
Result<std::vector<int>> ManageNeighbours(NetlinkClient& client, std::span<const NeighbourKey> keys);

// The opposite: the kernel may forget these. One that is gone already is no failure.
Status ReleaseNeighbours(NetlinkClient& client, std::span<const NeighbourKey> keys);

// A neighbour message (RTM_NEWNEIGH, RTM_DELNEIGH); absent for another family than IPv4 and IPv6.
std::optional<NeighbourMessage> ReadNeighbour(const nlmsghdr* message);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// NextHop: where an encapsulated packet leaves to; a plain value. Who finds it: next_hop_resolver.h.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "userspace/net/address.h"
#include "userspace/net/mac.h"

namespace shunt {

struct NextHop {
  uint32_t interface_index = 0;
  MacAddress local_mac;    // source of the frame
  MacAddress gateway_mac;  // destination of the frame: the gateway's or, on link, the real's
  IpAddress source;        // the balancer's own address towards the real, of the real's family
  uint32_t mtu_bytes = 0;  // longest IP packet on that path
  auto operator<=>(const NextHop&) const = default;
};

// What is known of one real's next hop: the hop, or one sentence why there is none.
struct NextHopState {
  std::optional<NextHop> next_hop;
  std::string problem;  // empty when next_hop is set; e.g. "no route to 10.0.0.11"
  bool operator==(const NextHopState&) const = default;
};

using NextHopTable = std::map<IpAddress, NextHopState>;  // by the real's address

}  // namespace shunt

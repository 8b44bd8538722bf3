// SPDX-License-Identifier: Apache-2.0
// One fixed next hop for every real: for the program run on a capture (shuntctl replay) and for tests, where no
// route or neighbour of this host matters. Any thread.
#pragma once

#include <optional>

#include "userspace/net/mac.h"
#include "userspace/net/next_hop_source.h"

namespace shunt {

class StaticNextHops final : public NextHopSource {
 public:
  struct Options {
    MacAddress local_mac;    // source of the frames
    MacAddress gateway_mac;  // destination of the frames
    // The balancer's address towards reals of each family; without one, reals of that family have no next hop.
    std::optional<IpAddress> ipv4_source;
    std::optional<IpAddress> ipv6_source;
    uint32_t interface_index = 1;
    uint32_t mtu_bytes = 1500;
  };

  explicit StaticNextHops(const Options& options) : options_(options) {}

  int fd() const override { return -1; }
  Result<bool> Changed() override { return false; }
  Result<NextHopTable> Resolve(const std::set<IpAddress>& reals) override;

 private:
  Options options_;
};

}  // namespace shunt

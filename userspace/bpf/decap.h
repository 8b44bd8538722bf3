// SPDX-License-Identifier: Apache-2.0
// Decapsulation on a real, for hosts without a tunnel device: the decap program on an interface, the VIP
// addresses it takes outer headers off for, and what it counted. Nothing runs meanwhile: attached program and map
// (pinned in bpffs, folder shunt-decap) are the whole state. Not here: the balancer (dataplane/).
// Called by `shuntctl decap`; any thread, concurrent processes wait for each other.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "userspace/base/result.h"
#include "userspace/bpf/xdp_mode.h"
#include "userspace/net/address.h"

namespace shunt {

struct DecapCount {
  uint64_t packets = 0;
  uint64_t bytes = 0;  // inner packets, from their IP header on
  bool operator==(const DecapCount&) const = default;
};

struct DecapStatus {
  bool native = false;  // else generic XDP
  std::map<IpAddress, DecapCount> vips;
};

class Decap {
 public:
  // `bpffs` is a mounted bpffs. Interfaces are names in the caller's network namespace.
  explicit Decap(std::string bpffs = "/sys/fs/bpf") : bpffs_(std::move(bpffs)) {}

  // From now on exactly these VIP addresses, at least one. Attached already: the list is changed under way and VIPs
  // that stay keep their counts. A program of somebody else on the interface is refused and left alone.
  Result<DecapStatus> Attach(const std::string& interface, std::span<const IpAddress> vips,
                             XdpMode mode = XdpMode::kAuto);
  // kNotFound if it is not attached there.
  Status Detach(const std::string& interface);
  // kNotFound if it is not attached there.
  Result<DecapStatus> Show(const std::string& interface) const;

 private:
  std::string bpffs_;
};

}  // namespace shunt

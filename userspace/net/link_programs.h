// SPDX-License-Identifier: Apache-2.0
// Which interface stands under a name, and which XDP program the kernel runs on it: one question for all, cheap enough
// to ask at every event. Called by the interface watch (daemon/interface_watch.h), on its thread. Not here: whose
// program that is (bpf/xdp.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/net/netlink.h"

namespace shunt {

struct LinkProgram {
  uint32_t index = 0;
  uint32_t program_id = 0;  // of the driver's or the stack's; 0: none
  bool carrier = false;     // by the operator and by the cable
  bool operator==(const LinkProgram&) const = default;
};

// In the order of the names; absent where there is no such link in this network namespace.
Result<std::vector<std::optional<LinkProgram>>> LookUpLinkPrograms(NetlinkClient& client,
                                                                   std::span<const std::string> names);

}  // namespace shunt

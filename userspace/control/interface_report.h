// SPDX-License-Identifier: Apache-2.0
// The interfaces whose packets are to be balanced, and whether they are. Plain values, published by the controller;
// made by interface_keeper.h, read by rpc and metrics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shunt {

struct InterfaceStatus {
  std::string name;
  uint32_t index = 0;  // 0: there is none of that name
  bool attached = false;
  bool native = false;   // in the driver; of an attached one
  bool carrier = false;  // the link is up, and has one
  std::string problem;   // why it is not attached
  bool operator==(const InterfaceStatus&) const = default;
};

using InterfaceReport = std::vector<InterfaceStatus>;

}  // namespace shunt

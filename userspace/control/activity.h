// SPDX-License-Identifier: Apache-2.0
// How many flows each VIP and real has, and how many come in a second: reads the data plane's estimates and counters
// and begins its next interval. Called by the writer, at a steady pace, on its thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "userspace/base/result.h"
#include "userspace/control/observation.h"
#include "userspace/dataplane/dataplane.h"

namespace shunt {

class ActivityMeter {
 public:
  static constexpr std::chrono::seconds kInterval{10};

  explicit ActivityMeter(Dataplane& dataplane) : dataplane_(dataplane) {}

  // The first time there is no rate yet, and the estimates are of what went before.
  Result<std::map<VipKey, VipActivity>> Turn(const Plan& plan, SteadyTime now);

 private:
  using RealName = std::pair<uint32_t, uint16_t>;  // VIP id and index; index 0 is the VIP itself

  Dataplane& dataplane_;
  std::optional<SteadyTime> last_turn_;
  std::map<RealName, uint64_t> new_flows_;  // counted up to the last turn
};

}  // namespace shunt

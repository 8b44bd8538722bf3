// SPDX-License-Identifier: Apache-2.0
// What the writer thread observed lately in the data plane: how far each VIP's moved slots have settled, and how many
// flows there are. Plain values, published with the snapshot; made by sweeper.h and activity.h, read by rpc and
// metrics.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "userspace/net/endpoint.h"

namespace shunt {

// The slots of one VIP's ring by state (tracking.md), and its share of the flow table.
struct SlotProgress {
  uint32_t stable = 0;
  uint32_t moving = 0;                             // unknown flows go to the slot's previous real
  uint32_t with_exceptions = 0;                    // settled, but remembered flows may go to other reals
  uint64_t remembered = 0;                         // entries of the flow table, at the last pass of the sweeper
  uint64_t refused = 0;                            // flows that could not be remembered, since the VIP was added
  std::optional<std::chrono::seconds> settles_in;  // until the last slot stops moving if nothing else changes; unset:
                                                   // none moves
  bool operator==(const SlotProgress&) const = default;
};

struct Activity {
  double flows = 0;                 // different flows seen in the last 10 to 20 seconds, estimated
  double new_flows_per_second = 0;  // over the last interval
  bool operator==(const Activity&) const = default;
};

struct VipActivity {
  Activity vip;
  std::map<uint16_t, Activity> reals;  // by index
  bool operator==(const VipActivity&) const = default;
};

struct Observation {
  std::map<VipKey, SlotProgress> slots;
  std::map<VipKey, VipActivity> activity;
};

}  // namespace shunt

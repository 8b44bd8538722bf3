// SPDX-License-Identifier: Apache-2.0
// What the checks have seen lately, as plain values for readers (rpc, metrics): made by health/ once a second at most,
// handed out by the controller. Not here: what follows for traffic (weights.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "userspace/control/liveness.h"

namespace shunt {

struct LatencyFigures {  // of passed probes, in microseconds; 0 before the first
  uint32_t last_us = 0, average_us = 0, p50_us = 0, p90_us = 0, p99_us = 0;
  bool operator==(const LatencyFigures&) const = default;
};

struct RealReport {
  Health health = Health::kUnknown;
  std::chrono::system_clock::time_point since;       // of this health
  std::chrono::system_clock::time_point checked_at;  // end of the last probe; epoch: none yet
  bool last_passed = false;
  std::string last_cause;           // why the last failed probe did; empty: none did
  uint32_t in_row = 0;              // probes in a row with the last one's outcome
  uint32_t rise_needed = 0;         // passes that make it up again; above the check's `rise` after flaps
  uint64_t passed = 0, failed = 0;  // since it was first checked
  uint32_t flaps = 0;               // up to down, not yet forgiven
  LatencyFigures latency;
  bool operator==(const RealReport&) const = default;
};

struct HealthTotals {
  uint64_t targets = 0;    // distinct probes; fewer than reals where VIPs share them
  uint64_t in_flight = 0;  // probes under way
  uint64_t sockets = 0;    // open, kept connections among them
  uint64_t started = 0;    // probes since the start of shuntd
  uint64_t passed = 0, failed = 0;
  uint32_t late_p50_us = 0, late_p99_us = 0, late_max_us = 0;  // start after its time, over the last ten seconds
  bool operator==(const HealthTotals&) const = default;
};

struct HealthReport {
  std::map<VipKey, std::map<IpAddress, RealReport>> vips;
  HealthTotals totals;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// How long one target's probes take: average and percentiles of those that passed lately. Pure, and small, since there
// is one for each target. Not here: how late probes start (lateness.h).
#pragma once

#include <array>
#include <cstdint>

#include "userspace/control/health_report.h"

namespace shunt {

class Latency {
 public:
  static constexpr size_t kKept = 128;   // passed probes that percentiles are of
  static constexpr float kPart = 0.125;  // of each new one in the average

  void Note(uint32_t took_us);
  LatencyFigures figures() const;  // percentiles to 1 in 2000

 private:
  std::array<uint16_t, kKept> kept_{};  // shortened (short_us.h); the newest replaces the oldest
  uint8_t next_ = 0;
  uint8_t count_ = 0;
  uint32_t last_us_ = 0;
  float average_us_ = 0;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Whether packets for VIPs still come to this host, for who waits until traffic has moved away: a stopping shuntd and
// shuntctl drain-host. Pure; fed with counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/plan.h"

namespace shunt {

// Packets that were for a VIP: all but those that were left to the host.
uint64_t PacketsForVips(std::span<const VerdictCount> counts);

class TrafficWatch {
 public:
  // Without a packet for so long, the traffic is gone. Longer than a client pauses that waits for an answer.
  static constexpr std::chrono::seconds kQuiet{3};

  void Note(uint64_t packets, SteadyTime now);
  bool gone() const { return last_ && last_at_ - moved_at_ >= kQuiet; }
  double packets_per_second() const { return rate_; }  // between the last two counts

 private:
  std::optional<uint64_t> last_;
  SteadyTime last_at_{};
  SteadyTime moved_at_{};  // when the count was last found higher
  double rate_ = 0;
};

}  // namespace shunt

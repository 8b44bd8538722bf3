// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/traffic_watch.h"

#include "userspace/dataplane/verdict.h"

namespace shunt {

uint64_t PacketsForVips(std::span<const VerdictCount> counts) {
  uint64_t packets = 0;
  for (const VerdictCount& count : counts) {
    if (VerdictOf(count.verdict).action != "XDP_PASS") packets += count.packets;
  }
  return packets;
}

void TrafficWatch::Note(uint64_t packets, SteadyTime now) {
  const double seconds = std::chrono::duration<double>(now - last_at_).count();
  if (!last_) {
    moved_at_ = now;
  } else if (packets != *last_) {
    moved_at_ = now;
    rate_ = packets > *last_ && seconds > 0 ? static_cast<double>(packets - *last_) / seconds : 0;
  } else {
    rate_ = 0;
  }
  last_ = packets;
  last_at_ = now;
}

}  // namespace shunt

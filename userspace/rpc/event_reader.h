// SPDX-License-Identifier: Apache-2.0
// One reader's way through the event log: what is kept of it, then each event as it happens, and how many went by
// unread. Each belongs to one thread. Called by service.cc. Not here: the log (control/event_log.h), gRPC.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "userspace/control/event_log.h"
#include "userspace/rpc/health_convert.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {

// Those after `after_id` that are still kept and that the filter takes: the newest `limit`, 0: all; oldest first. An
// `after_id` that nobody has given yet is of an earlier shuntd, and counts as 0.
std::vector<v1::Event> KeptEvents(const EventLog& log, const EventFilter& filter, uint64_t after_id, uint32_t limit);

// The kind of an event that stands for those that a reader was too slow for; never in the log itself.
inline constexpr const char* kEventsMissed = "events_missed";

class EventReader {
 public:
  // `log` outlives the reader. From now on nothing is left out without saying so.
  EventReader(const EventLog& log, EventFilter filter, const v1::EventsRequest& request);

  // The first time what is kept, at once; then what came since, waiting up to `patience` for it.
  std::vector<v1::Event> Next(std::chrono::milliseconds patience);

 private:
  const EventLog& log_;
  const EventFilter filter_;
  std::vector<v1::Event> kept_;
  bool told_kept_ = false;
  uint64_t seen_ = 0;  // the newest event that was looked at
};

}  // namespace shunt

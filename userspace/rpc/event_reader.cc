// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/event_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace shunt {
namespace {

constexpr size_t kBatch = 256;

uint64_t OfThisLog(const EventLog& log, uint64_t after_id) { return after_id > log.last_id() ? 0 : after_id; }

std::vector<v1::Event> Messages(const std::vector<Event>& events, const EventFilter& filter, size_t limit) {
  std::vector<v1::Event> out;
  for (const Event& event : events) {
    if (filter.Takes(event)) out.push_back(ToMessage(event));
  }
  if (out.size() > limit) out.erase(out.begin(), std::prev(out.end(), static_cast<std::ptrdiff_t>(limit)));
  return out;
}

// Its id is that of the last one missed, so that who goes on from there misses no more.
v1::Event Missed(uint64_t seen, const Event& next) {
  Event event;
  event.id = next.id - 1;
  event.at = next.at;
  event.kind = kEventsMissed;
  event.cause = fmt::format("{} events went by unread and are no longer kept: the reader was too slow, or away",
                            next.id - seen - 1);
  return ToMessage(event);
}

}  // namespace

std::vector<v1::Event> KeptEvents(const EventLog& log, const EventFilter& filter, uint64_t after_id, uint32_t limit) {
  return Messages(log.Since(OfThisLog(log, after_id), EventLog::kKept), filter,
                  limit == 0 ? EventLog::kKept : size_t{limit});
}

EventReader::EventReader(const EventLog& log, EventFilter filter, const v1::EventsRequest& request)
    : log_(log), filter_(std::move(filter)) {
  if (request.only_new()) {
    seen_ = log_.last_id();
    return;
  }
  const uint64_t after_id = OfThisLog(log_, request.after_id());
  const auto events = log_.Since(after_id, EventLog::kKept);
  seen_ = events.empty() ? after_id : events.back().id;
  kept_ = Messages(events, filter_, request.limit() == 0 ? EventLog::kKept : size_t{request.limit()});
  const bool gap = after_id != 0 && !events.empty() && events.front().id > after_id + 1;
  if (gap) kept_.insert(kept_.begin(), Missed(after_id, events.front()));
}

std::vector<v1::Event> EventReader::Next(std::chrono::milliseconds patience) {
  if (!std::exchange(told_kept_, true) && !kept_.empty()) return std::exchange(kept_, {});
  const auto events = log_.WaitSince(seen_, kBatch, patience);
  if (events.empty()) return {};
  auto out = Messages(events, filter_, kBatch);
  if (events.front().id > seen_ + 1) out.insert(out.begin(), Missed(seen_, events.front()));
  seen_ = events.back().id;
  return out;
}

}  // namespace shunt

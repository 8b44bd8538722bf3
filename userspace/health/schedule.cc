// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/schedule.h"

#include <algorithm>

namespace shunt {

// Multiples of the golden ratio fill an interval evenly, however many there are in the end.
void Schedule::ChooseNextPlace() {
  constexpr uint32_t kGoldenRatio = 0x9e3779b9;  // of 2^32
  place_ += kGoldenRatio;
}

Schedule::Duration Schedule::PlaceIn(Duration interval) const {
  return Duration(static_cast<Duration::rep>(static_cast<double>(interval.count()) * (place_ / 4294967296.0)));
}

Schedule::Duration Schedule::Jitter(const Pace& pace) {
  const Duration::rep most = pace.interval.count() / 200 * pace.jitter_percent;
  return Duration(std::uniform_int_distribution<Duration::rep>(-most, most)(random_));
}

void Schedule::Add(uint32_t target, const Pace& pace, SteadyTime now) {
  if (target >= items_.size()) items_.resize(target + 1);
  Item& item = items_[target];
  item.pace = pace;
  item.there = true;
  ChooseNextPlace();
  item.grid = now + PlaceIn(pace.interval);
  Wait(target, now + PlaceIn(std::min<Duration>(pace.interval, kFirstWithin)));
}

void Schedule::Remove(uint32_t target) {
  Item& item = items_[target];
  StopWaiting(item);
  item.there = false;
  DropVoid();
}

void Schedule::Repace(uint32_t target, const Pace& pace, SteadyTime now) {
  Item& item = items_[target];
  if (item.pace == pace || !item.waiting) return;
  StopWaiting(item);
  item.pace = pace;
  ChooseNextPlace();
  item.grid = now + PlaceIn(pace.interval);
  Wait(target, item.grid);
  DropVoid();
}

std::optional<Schedule::Due> Schedule::Take(SteadyTime now) {
  if (heap_.empty() || heap_.front().due > now) return std::nullopt;
  const Entry first = heap_.front();
  StopWaiting(items_[first.target]);
  DropVoid();
  return Due{.target = first.target, .late = now - first.due};
}

std::optional<SteadyTime> Schedule::next_due() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().due;
}

void Schedule::GiveBack(uint32_t target, const Pace& pace, SteadyTime started, SteadyTime now) {
  Item& item = items_[target];
  if (!item.there || item.waiting) return;
  if (item.pace != pace) {
    item.pace = pace;
    item.grid = std::max(started + pace.interval, now);
    return Wait(target, item.grid);
  }
  // The first time is before the grid's own where the interval is long.
  if (item.due + pace.interval / 2 > item.grid) item.grid += pace.interval;
  if (item.grid + pace.interval <= now) item.grid += (now - item.grid) / pace.interval * pace.interval;
  Wait(target, item.grid + Jitter(pace));
}

void Schedule::Wait(uint32_t target, SteadyTime due) {
  Item& item = items_[target];
  item.due = due;
  item.waiting = true;
  ++waiting_;
  heap_.push_back({.due = due, .target = target, .turn = item.turn});
  std::ranges::push_heap(heap_, Later);
}

void Schedule::StopWaiting(Item& item) {
  if (!item.waiting) return;
  item.waiting = false;
  ++item.turn;
  --waiting_;
}

void Schedule::DropVoid() {
  if (heap_.size() > 2 * waiting_ + 64) {
    std::erase_if(heap_, [this](const Entry& entry) { return IsVoid(entry); });
    std::ranges::make_heap(heap_, Later);
  }
  while (!heap_.empty() && IsVoid(heap_.front())) {
    std::ranges::pop_heap(heap_, Later);
    heap_.pop_back();
  }
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// When targets are due, over simulated hours: evenly spread, without drift, within the jitter.
#include "userspace/health/schedule.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <vector>

using namespace shunt;  // NOLINT: the tests read like the code

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Duration = Schedule::Duration;

constexpr SteadyTime kStart{hours(5)};

struct Started {
  uint32_t target = 0;
  SteadyTime at;
};

// Everything that is due until `end`, started at its very time, with each probe over at once.
std::vector<Started> Run(Schedule& schedule, const Schedule::Pace& pace, SteadyTime end) {
  std::vector<Started> starts;
  while (schedule.next_due() && *schedule.next_due() < end) {
    const SteadyTime now = *schedule.next_due();
    const auto due = schedule.Take(now);
    if (!due || due->late != Duration(0)) FAIL("not due when it said");
    starts.push_back({due->target, now});
    schedule.GiveBack(due->target, pace, now, now);
  }
  return starts;
}

void AddMany(Schedule& schedule, uint32_t count, const Schedule::Pace& pace, SteadyTime now = kStart) {
  for (uint32_t target = 0; target < count; ++target) schedule.Add(target, pace, now);
}

// How many starts each `width` of the time from `begin` on sees: fewest and most.
std::pair<size_t, size_t> Extremes(const std::vector<Started>& starts, SteadyTime begin, SteadyTime end,
                                   Duration width) {
  std::vector<size_t> count(static_cast<size_t>((end - begin) / width));
  for (const Started& start : starts) {
    if (start.at >= begin && start.at < end) ++count[static_cast<size_t>((start.at - begin) / width)];
  }
  return {std::ranges::min(count), std::ranges::max(count)};
}

}  // namespace

TEST_CASE("Ten thousand targets are spread evenly over the interval, from the first on") {
  const Schedule::Pace pace{.interval = seconds(1), .jitter_percent = 0};
  Schedule schedule(1);
  AddMany(schedule, 10000, pace);
  const SteadyTime end = kStart + seconds(20);
  const auto starts = Run(schedule, pace, end);
  const auto [fewest, most] = Extremes(starts, kStart, end, milliseconds(10));  // 100 expected
  CHECK(fewest >= 97);
  CHECK(most <= 103);
}

TEST_CASE("However many targets there are, no part of the interval is left out") {
  for (const uint32_t count : {2u, 3u, 7u, 50u, 333u}) {
    const Schedule::Pace pace{.interval = seconds(1), .jitter_percent = 0};
    Schedule schedule(1);
    AddMany(schedule, count, pace);
    auto starts = Run(schedule, pace, kStart + seconds(2));
    Duration longest{};
    for (size_t i = 1; i < starts.size(); ++i) longest = std::max(longest, starts[i].at - starts[i - 1].at);
    INFO(count << " targets");
    CHECK(starts.size() == size_t{2} * count);
    CHECK(longest < Duration(seconds(2)) / count);
  }
}

TEST_CASE("Jitter moves each interval by no more than it may, and nothing drifts in an hour") {
  const Schedule::Pace pace{.interval = seconds(2), .jitter_percent = 10};
  Schedule schedule(2);
  AddMany(schedule, 20, pace);
  const auto starts = Run(schedule, pace, kStart + hours(1));
  std::map<uint32_t, std::vector<SteadyTime>> times;
  for (const Started& start : starts) times[start.target].push_back(start.at);
  Duration shortest = hours(1), longest{}, furthest{};
  for (const auto& [target, of_target] : times) {
    CHECK(of_target.size() == 1800);
    for (size_t i = 1; i < of_target.size(); ++i) {
      shortest = std::min(shortest, of_target[i] - of_target[i - 1]);
      longest = std::max(longest, of_target[i] - of_target[i - 1]);
      // On its grid still: the first start has no jitter.
      const Duration off = of_target[i] - of_target[0] - static_cast<int64_t>(i) * pace.interval;
      furthest = std::max<Duration>(furthest, std::chrono::abs(off));
    }
  }
  CHECK(furthest <= milliseconds(100));
  CHECK(shortest >= milliseconds(1800));
  CHECK(longest <= milliseconds(2200));
  // It is used, too.
  CHECK(shortest < milliseconds(1850));
  CHECK(longest > milliseconds(2150));
}

TEST_CASE("With jitter the load stays even after an hour") {
  const Schedule::Pace pace{.interval = seconds(1), .jitter_percent = 10};
  Schedule schedule(3);
  AddMany(schedule, 1000, pace);
  const SteadyTime end = kStart + hours(1);
  const auto starts = Run(schedule, pace, end);
  const auto [fewest, most] = Extremes(starts, end - seconds(10), end, milliseconds(100));  // 100 expected
  CHECK(fewest >= 75);
  CHECK(most <= 125);
}

TEST_CASE("Lateness is the time since a target was due, and lateness moves no later probe") {
  const Schedule::Pace pace{.interval = seconds(1), .jitter_percent = 0};
  Schedule schedule(4);
  schedule.Add(0, pace, kStart);
  const SteadyTime first = *schedule.next_due();
  CHECK_FALSE(schedule.Take(first - milliseconds(1)));
  const auto due = schedule.Take(first + milliseconds(30));
  REQUIRE(due);
  CHECK(due->late == milliseconds(30));
  CHECK_FALSE(schedule.Take(first + hours(1)));  // under way: it is not due
  schedule.GiveBack(0, pace, first + milliseconds(30), first + milliseconds(40));
  CHECK(schedule.next_due() == first + seconds(1));
}

TEST_CASE("A probe that takes longer than the interval is followed by one that is late, and the rest is left out") {
  const Schedule::Pace pace{.interval = seconds(1), .jitter_percent = 0};
  Schedule schedule(5);
  schedule.Add(0, pace, kStart);
  const SteadyTime first = *schedule.next_due();
  REQUIRE(schedule.Take(first));
  const SteadyTime end = first + milliseconds(3300);
  schedule.GiveBack(0, pace, first, end);
  const auto due = schedule.Take(end);
  REQUIRE(due);
  CHECK(due->late == milliseconds(300));
  schedule.GiveBack(0, pace, end, end);
  CHECK(schedule.next_due() == first + seconds(4));
}

TEST_CASE("Another pace after a probe begins at that probe") {
  const Schedule::Pace slow{.interval = seconds(2), .jitter_percent = 10};
  const Schedule::Pace fast{.interval = milliseconds(500), .jitter_percent = 10};
  Schedule schedule(6);
  schedule.Add(0, slow, kStart);
  const SteadyTime first = *schedule.next_due();
  REQUIRE(schedule.Take(first));
  schedule.GiveBack(0, fast, first, first + milliseconds(100));
  CHECK(schedule.next_due() == first + milliseconds(500));
  const SteadyTime second = *schedule.next_due();
  REQUIRE(schedule.Take(second));
  schedule.GiveBack(0, slow, second, second + milliseconds(100));
  CHECK(schedule.next_due() == second + seconds(2));
  // Never in the past.
  REQUIRE(schedule.Take(second + seconds(2)));
  schedule.GiveBack(0, fast, second + seconds(2), second + seconds(5));
  CHECK(schedule.next_due() == second + seconds(5));
}

TEST_CASE("A target with a long interval is first asked within ten seconds, and then on its place in the interval") {
  const Schedule::Pace pace{.interval = hours(1), .jitter_percent = 0};
  Schedule schedule(7);
  AddMany(schedule, 1000, pace);
  const SteadyTime end = kStart + hours(10);
  const auto starts = Run(schedule, pace, end);
  std::vector<bool> early(1000);
  for (const Started& start : starts) {
    if (start.at < kStart + Schedule::kFirstWithin) early[start.target] = true;
  }
  CHECK(std::ranges::count(early, true) == 1000);
  const auto [fewest, most] = Extremes(starts, kStart + hours(3), end, minutes(6));  // 100 expected
  CHECK(fewest >= 97);
  CHECK(most <= 103);
}

TEST_CASE("An operator's other interval spreads what waits anew") {
  const Schedule::Pace before{.interval = seconds(60), .jitter_percent = 0};
  const Schedule::Pace after{.interval = seconds(1), .jitter_percent = 0};
  for (const auto& [from, to] : {std::pair(before, after), std::pair(after, before)}) {
    Schedule schedule(8);
    AddMany(schedule, 1000, from);
    const SteadyTime now = kStart + seconds(90);
    Run(schedule, from, now);
    for (uint32_t target = 0; target < 1000; ++target) schedule.Repace(target, to, now);
    const auto starts = Run(schedule, to, now + 3 * to.interval);
    const auto [fewest, most] = Extremes(starts, now, now + 3 * to.interval, to.interval / 10);  // 100 expected
    CHECK(fewest >= 97);
    CHECK(most <= 103);
  }
}

TEST_CASE("What was removed is never due, waiting or taken, and its number can be given again") {
  const Schedule::Pace pace{.interval = seconds(1), .jitter_percent = 0};
  Schedule schedule(9);
  AddMany(schedule, 3, pace);
  const SteadyTime first = *schedule.next_due();
  const auto taken = schedule.Take(first);
  REQUIRE(taken);
  for (uint32_t target = 0; target < 3; ++target) schedule.Remove(target);
  CHECK_FALSE(schedule.next_due());
  schedule.GiveBack(taken->target, pace, first, first);
  CHECK_FALSE(schedule.next_due());
  schedule.Add(taken->target, pace, first);
  CHECK(Run(schedule, pace, first + seconds(10)).size() == 10);
}

TEST_CASE("Targets that come and go leave nothing behind that costs") {
  const Schedule::Pace pace{.interval = hours(1), .jitter_percent = 0};
  Schedule schedule(10);
  for (int i = 0; i < 100000; ++i) {
    schedule.Add(5, pace, kStart);
    schedule.Remove(5);
  }
  CHECK(schedule.waiting_places() <= 100);
}

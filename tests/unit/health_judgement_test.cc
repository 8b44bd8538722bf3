// SPDX-License-Identifier: Apache-2.0
// Rise, fall and flaps, as tables: a row of outcomes in, the health after each out.
#include "userspace/health/judgement.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "userspace/health/checked_real.h"

using namespace shunt;  // NOLINT: the tests read like the code

namespace {

using std::chrono::seconds;

constexpr SteadyTime kStart{seconds(1000)};

char Letter(Health health) {
  switch (health) {
    case Health::kUp:
      return 'U';
    case Health::kDown:
      return 'D';
    case Health::kUnknown:
      return '?';
    case Health::kUnchecked:
      return '-';
  }
  return '!';
}

// The health after each outcome, one a second from `now` on: '+' passed, '-' failed.
std::string After(Judgement& judgement, std::string_view outcomes, const JudgementRules& rules, SteadyTime& now) {
  std::string healths;
  for (const char outcome : outcomes) {
    now += seconds(1);
    const Health before = judgement.health();
    const auto changed = judgement.Note(outcome == '+', rules, now);
    CHECK(changed.has_value() == (judgement.health() != before));
    if (changed) CHECK(*changed == judgement.health());
    healths += Letter(judgement.health());
  }
  return healths;
}

std::string After(Health initial, std::string_view outcomes, const JudgementRules& rules = {}) {
  Judgement judgement(initial);
  SteadyTime now = kStart;
  return After(judgement, outcomes, rules, now);
}

// Makes an up real fall `times` times, as fast as can be.
SteadyTime Flap(Judgement& judgement, uint32_t times, const JudgementRules& rules) {
  SteadyTime now = kStart;
  for (uint32_t i = 0; i < times; ++i) {
    while (judgement.health() != Health::kUp) After(judgement, "+", rules, now);
    while (judgement.health() != Health::kDown) After(judgement, "-", rules, now);
  }
  return now;
}

}  // namespace

TEST_CASE("It takes fall failures in a row to go down and rise passes in a row to come up") {
  struct Row {
    Health initial;
    JudgementRules rules;
    std::string outcomes, healths;
  };
  const Row rows[] = {
      {Health::kUp, {.rise = 2, .fall = 3}, "---", "UUD"},
      {Health::kUp, {.rise = 2, .fall = 3}, "--+---", "UUUUUD"},  // a pass begins the count anew
      {Health::kDown, {.rise = 2, .fall = 3}, "++", "DU"},
      {Health::kDown, {.rise = 2, .fall = 3}, "+-+-++", "DDDDDU"},
      {Health::kUp, {.rise = 1, .fall = 1}, "-+-+", "DUDD"},  // the second flap doubles the way back
      {Health::kUp, {.rise = 1, .fall = 5}, "----+----", "UUUUUUUUU"},
      {Health::kDown, {.rise = 5, .fall = 1}, "++++-+++++", "DDDDDDDDDU"},
      {Health::kUnknown, {.rise = 2, .fall = 3}, "+", "U"},  // the first pass will do
      {Health::kUnknown, {.rise = 5, .fall = 3}, "--+---", "??UUUD"},
      {Health::kUnknown, {.rise = 2, .fall = 3}, "---++", "??DDU"},  // once down, as any other
      {Health::kUp, {.rise = 2, .fall = 3}, "++++", "UUUU"},
  };
  for (const Row& row : rows) {
    INFO(Letter(row.initial) << " " << row.outcomes);
    CHECK(After(row.initial, row.outcomes, row.rules) == row.healths);
  }
}

TEST_CASE("Rules that change hold from the next outcome on") {
  Judgement judgement(Health::kUp);
  SteadyTime now = kStart;
  CHECK(After(judgement, "--", {.rise = 2, .fall = 3}, now) == "UU");
  CHECK(After(judgement, "-", {.rise = 2, .fall = 10}, now) == "U");
  CHECK(After(judgement, "-", {.rise = 2, .fall = 4}, now) == "D");
}

TEST_CASE("Each flap doubles the way back, up to the sixth") {
  const JudgementRules rules{.rise = 3, .fall = 1};
  const uint32_t needed[] = {3, 6, 12, 24, 48, 96, 96, 96};
  for (uint32_t flaps = 1; flaps <= std::size(needed); ++flaps) {
    Judgement judgement(Health::kUp);
    // So often that no flap is forgiven in between: a test of its own.
    SteadyTime now = Flap(judgement, flaps, rules);
    INFO(flaps << " flaps");
    CHECK(judgement.flaps(now) == std::min(flaps, kMaxFlaps));
    CHECK(judgement.rise_needed(rules, now) == needed[flaps - 1]);
    After(judgement, std::string(needed[flaps - 1] - 1, '+'), rules, now);
    CHECK(judgement.health() == Health::kDown);
    After(judgement, "+", rules, now);
    CHECK(judgement.health() == Health::kUp);
  }
}

TEST_CASE("A flap is forgiven for each minute up in a row, and none while down") {
  const JudgementRules rules{.rise = 1, .fall = 1};
  Judgement judgement(Health::kUp);
  SteadyTime now = Flap(judgement, 3, rules);
  CHECK(judgement.flaps(now + seconds(3600)) == 3);
  After(judgement, "++++", rules, now);
  REQUIRE(judgement.health() == Health::kUp);
  CHECK(judgement.flaps(now + seconds(59)) == 3);
  CHECK(judgement.flaps(now + seconds(60)) == 2);
  CHECK(judgement.flaps(now + seconds(120)) == 1);
  CHECK(judgement.flaps(now + seconds(3600)) == 0);
  // A fall counts on from what is left, and the minute begins anew when it is up again.
  now += seconds(119);
  CHECK(After(judgement, "-", rules, now) == "D");
  CHECK(judgement.flaps(now) == 2);  // 3, two forgiven, one more
  CHECK(After(judgement, "++", rules, now) == "DU");
  CHECK(judgement.flaps(now + seconds(59)) == 2);
  CHECK(judgement.flaps(now + seconds(60)) == 1);
}

TEST_CASE("A real is failing while it is down or its last probe failed") {
  Judgement judgement(Health::kUp);
  SteadyTime now = kStart;
  CHECK_FALSE(judgement.is_failing());
  After(judgement, "-", {}, now);
  CHECK(judgement.is_failing());
  After(judgement, "+", {}, now);
  CHECK_FALSE(judgement.is_failing());
  After(judgement, "---+", {}, now);
  CHECK(judgement.health() == Health::kDown);
  CHECK(judgement.is_failing());
  CHECK_FALSE(Judgement(Health::kUnknown).is_failing());
}

TEST_CASE("A real's report tells what was seen, and the change its reason") {
  const Moment start{kStart, std::chrono::system_clock::time_point(seconds(5000))};
  CheckedReal real(Health::kUnknown, {.rise = 2, .fall = 2}, start);
  CHECK(real.Report({}, start).checked_at == std::chrono::system_clock::time_point());
  const auto at = [&](int s) { return Moment{start.steady + seconds(s), start.wall + seconds(s)}; };
  CHECK(real.Note({.passed = true}, at(1)));
  CHECK(real.reason() == "1 probe passed");
  CHECK_FALSE(real.Note({.passed = false, .cause = "connect: Connection refused"}, at(2)));
  CHECK(real.Note({.passed = false, .cause = "no answer within 50 ms"}, at(3)));
  CHECK(real.reason() == "2 probes failed: no answer within 50 ms");
  CHECK_FALSE(real.Note({.passed = true}, at(4)));
  const LatencyFigures latency{.last_us = 7};
  CHECK(real.Report(latency, at(4)) == RealReport{.health = Health::kDown,
                                                  .since = at(3).wall,
                                                  .checked_at = at(4).wall,
                                                  .last_passed = true,
                                                  .last_cause = "no answer within 50 ms",
                                                  .in_row = 1,
                                                  .rise_needed = 2,
                                                  .passed = 2,
                                                  .failed = 2,
                                                  .flaps = 1,
                                                  .latency = latency});
}

TEST_CASE("A report's times are by the wall clock as it is now, whichever way it was set; drift changes nothing") {
  const Moment start{kStart, std::chrono::system_clock::time_point(seconds(500000))};
  CheckedReal real(Health::kUp, {.rise = 1, .fall = 1}, start);
  REQUIRE(real.Note({.passed = false, .cause = "c"}, start));
  for (const seconds jump : {seconds(86400), seconds(-86400)}) {
    const RealReport report = real.Report({}, {start.steady + seconds(10), start.wall + seconds(10) + jump});
    CHECK(report.since == start.wall + jump);
    CHECK(report.checked_at == start.wall + jump);
  }
  const auto drift = std::chrono::milliseconds(3);
  CHECK(real.Report({}, {start.steady + seconds(10), start.wall + seconds(10) + drift}).since == start.wall);
}

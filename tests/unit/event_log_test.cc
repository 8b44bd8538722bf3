// SPDX-License-Identifier: Apache-2.0
// The history of events: ids without gaps, bounded, and readers that wait.
#include "userspace/control/event_log.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "tests/unit/control_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

Event Named(const std::string& kind) { return {.id = 0, .at = {}, .kind = kind, .vip = "v", .real = "", .cause = "c"}; }

}  // namespace

TEST_CASE("Events have ids without gaps from 1 on, and readers go on from the last one they have") {
  LogNothing();
  EventLog log;
  CHECK(log.last_id() == 0);
  CHECK(log.Since(0, 10).empty());
  const auto before = std::chrono::system_clock::now();
  for (const char* kind : {"a", "b", "c"}) log.Add(Named(kind));
  CHECK(log.last_id() == 3);
  const auto events = log.Since(0, 10);
  REQUIRE(events.size() == 3);
  CHECK(events[0].id == 1);
  CHECK(events[2].kind == "c");
  CHECK(events[0].at >= before);
  CHECK(log.Since(2, 10).front().kind == "c");
  CHECK(log.Since(0, 2).back().kind == "b");
  CHECK(log.Since(3, 10).empty());
  CHECK(log.Since(UINT64_MAX, 10).empty());
}

TEST_CASE("Only the last events are kept, under the ids they had") {
  LogNothing();
  EventLog log;
  for (size_t i = 0; i < EventLog::kKept + 5; ++i) log.Add(Named("x"));
  const auto events = log.Since(0, SIZE_MAX);
  REQUIRE(events.size() == EventLog::kKept);
  CHECK(events.front().id == 6);
  CHECK(events.back().id == EventLog::kKept + 5);
  CHECK(log.Since(2, 1).front().id == 6);
}

TEST_CASE("A reader waits for the next event, for its patience, or until the log is closed") {
  LogNothing();
  EventLog log;
  CHECK(log.WaitSince(0, 10, milliseconds(1)).empty());
  std::vector<Event> read;
  std::thread reader([&] { read = log.WaitSince(0, 10, hours(1)); });
  log.Add(Named("a"));
  reader.join();
  REQUIRE(read.size() == 1);
  std::thread waiting([&] { read = log.WaitSince(1, 10, hours(1)); });
  CHECK_FALSE(log.closed());
  log.Close();
  waiting.join();
  CHECK(read.empty());
  CHECK(log.closed());
  CHECK(log.WaitSince(1, 10, hours(1)).empty());
  CHECK(log.WaitSince(0, 10, hours(1)).size() == 1);
}

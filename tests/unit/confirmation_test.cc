// SPDX-License-Identifier: Apache-2.0
// Changes that are taken back unless somebody confirms them: in time, too late, across a restart, and what is refused
// meanwhile.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tests/unit/control_testing.h"
#include "tests/unit/controller_testing.h"
#include "userspace/control/writer.h"
#include "userspace/model/diff.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace fs = std::filesystem;
using std::chrono::seconds;

namespace {

ChangeTerms Within(seconds time) { return {.by = "apply", .confirm_within = time}; }

EditFunction To(DesiredState wanted) {
  return [wanted = std::move(wanted)](DesiredState& state) -> Status {
    state = wanted;
    return {};
  };
}

std::string NoteOf(const TimedWriter& timed) { return timed.bench.folder.store() + ".history/unconfirmed.yaml"; }

// Two() is in force as generation 2, and Changed() waits as generation 3.
struct Waiting : TimedWriter {
  explicit Waiting(seconds within = seconds(60)) {
    Apply(Two());
    const auto report = writer.Change(To(Changed()), false, Within(within));
    REQUIRE(report);
    CHECK(report->confirm_within == within);
    CHECK(report->back_to == 2);
    REQUIRE(writer.snapshot()->store->unconfirmed);
  }
  const DesiredState& desired() { return writer.snapshot()->desired; }
  const StoreStatus& store() { return *writer.snapshot()->store; }
  bool waits() { return store().unconfirmed.has_value(); }
};

// A writer that starts on what another one left, with a clock of its own.
struct Successor {
  explicit Successor(TimedWriter& before)
      : writer(before.bench.folder.store(), before.bench.dataplane, before.bench.next_hops, events,
               [this] { return now; }) {
    REQUIRE(writer.Adopt());
  }
  SteadyTime now = SteadyTime() + seconds(5);
  EventLog events;
  Writer writer;
};

}  // namespace

TEST_CASE("A change that nobody confirms is taken back when its time is up, as a generation and an event") {
  Waiting timed;
  timed.RunFor(seconds(59));
  CHECK(timed.desired() == Changed());
  CHECK(fs::exists(NoteOf(timed)));
  timed.RunFor(seconds(2));
  CHECK(timed.desired() == Two());
  CHECK(timed.bench.Stored() == Two());
  CHECK_FALSE(timed.waits());
  CHECK_FALSE(fs::exists(NoteOf(timed)));
  CHECK(timed.store().generation == 4);
  const auto generations = timed.writer.history().List().value();
  CHECK(generations.back().by == "shuntd: back to 2, for nobody confirmed 3");
  CHECK(timed.EventKinds().back() == "rolled_back");
  CHECK(timed.difference() == "");
}

TEST_CASE("A change that is confirmed in time stays") {
  Waiting timed;
  timed.RunFor(seconds(30));
  CHECK(timed.writer.Confirm() == 3);
  CHECK_FALSE(timed.waits());
  CHECK_FALSE(fs::exists(NoteOf(timed)));
  timed.RunFor(seconds(60));
  CHECK(timed.desired() == Changed());
  CHECK(timed.store().generation == 3);
  const auto again = timed.writer.Confirm();
  REQUIRE_FALSE(again);
  CHECK(again.error().kind == ErrorKind::kNotFound);
}

TEST_CASE("While a change waits every other one is refused with the ways out, and changes nothing") {
  Waiting timed;
  timed.RunFor(seconds(15));
  const std::string store = TextOf(timed.bench.folder.store());
  timed.bench.dataplane.FailNone();
  ChangeTerms elsewhere = {.by = "rollback 1", .rollback_to = 1};
  ChangeTerms waits_too = {.by = "rollback 2", .confirm_within = seconds(5), .rollback_to = 2};
  for (const ChangeTerms& terms : {ChangeTerms{}, Within(seconds(9)), elsewhere, waits_too}) {
    const auto report = timed.writer.Change(To(Two()), false, terms);
    REQUIRE_FALSE(report);
    CHECK(report.error().kind == ErrorKind::kExists);
    CHECK_THAT(report.error().message, Catch::Contains("generation 3") && Catch::Contains("for 45 s more") &&
                                           Catch::Contains("shuntctl confirm keeps it") &&
                                           Catch::Contains("shuntctl rollback 2 takes it back"));
  }
  CHECK(timed.bench.dataplane.writes() == 0);
  CHECK(TextOf(timed.bench.folder.store()) == store);
  CHECK(timed.writer.Change(To(Two()), true)->changes == Diff(Changed(), Two()));
  CHECK(timed.waits());
}

TEST_CASE("A rollback to the generation before takes a waiting change back at once") {
  Waiting timed;
  REQUIRE(timed.writer.Change(To(Two()), false, {.by = "rollback 2", .rollback_to = 2}));
  CHECK(timed.desired() == Two());
  CHECK_FALSE(timed.waits());
  CHECK_FALSE(fs::exists(NoteOf(timed)));
  timed.RunFor(seconds(70));
  CHECK(timed.store().generation == 4);
}

TEST_CASE("A daemon that starts while a change waits goes on waiting, and takes it back") {
  Waiting timed(seconds(3600));
  Successor next(timed);
  const auto& unconfirmed = next.writer.snapshot()->store->unconfirmed;
  REQUIRE(unconfirmed);
  CHECK(unconfirmed->back_to == 2);
  CHECK(unconfirmed->deadline > next.now + seconds(3000));
  CHECK(unconfirmed->deadline <= next.now + seconds(3600));
  CHECK(next.writer.snapshot()->store->generation == 3);
  next.now += seconds(3601);
  REQUIRE(next.writer.Tend());
  CHECK(next.writer.snapshot()->desired == Two());
  CHECK_FALSE(fs::exists(NoteOf(timed)));
}

TEST_CASE("A daemon that starts while a change waits lets it be confirmed") {
  Waiting timed(seconds(3600));
  {
    Successor next(timed);
    CHECK(next.writer.Confirm() == 3);
  }
  Successor last(timed);
  CHECK_FALSE(last.writer.snapshot()->store->unconfirmed);
  CHECK(last.writer.snapshot()->desired == Changed());
}

TEST_CASE("A change whose time ran out while no daemon ran is taken back at the start") {
  Waiting timed;
  std::string text = TextOf(NoteOf(timed));
  const size_t line = text.find("# unconfirmed until: ");
  REQUIRE(line != std::string::npos);
  text.replace(line, text.find('\n', line) - line, "# unconfirmed until: 2001-01-01T00:00:00Z");
  WriteText(NoteOf(timed), text);
  Successor next(timed);
  CHECK(next.writer.due_at() <= next.now);
  REQUIRE(next.writer.Tend());
  CHECK(next.writer.snapshot()->desired == Two());
  CHECK(timed.bench.Stored() == Two());
}

TEST_CASE("A clock on the wall that went back prolongs nothing beyond the whole time") {
  Waiting timed;
  std::string text = TextOf(NoteOf(timed));
  const size_t line = text.find("# unconfirmed until: ");
  text.replace(line, text.find('\n', line) - line, "# unconfirmed until: 2999-01-01T00:00:00Z");
  WriteText(NoteOf(timed), text);
  Successor next(timed);
  CHECK(next.writer.snapshot()->store->unconfirmed->deadline == next.now + seconds(60));
}

TEST_CASE("A crash before the change was made leaves nothing that waits") {
  Waiting timed;
  const std::string note = TextOf(NoteOf(timed));
  REQUIRE(timed.writer.Change(To(Two()), false, {.by = "rollback 2", .rollback_to = 2}));
  WriteText(NoteOf(timed), note);  // as if the change had not come to the store
  Successor next(timed);
  CHECK_FALSE(next.writer.snapshot()->store->unconfirmed);
  CHECK_FALSE(fs::exists(NoteOf(timed)));
}

TEST_CASE("What stands in the note's place and is none is left alone, and nothing waits") {
  for (const char* rubbish : {"", "vips: []\n", "# generation: 1\n# unconfirmed until: 2001-01-01T00:00:00Z\n",
                              "# generation: 1\n# unconfirmed until: 2001-01-01T00:00:00Z\n# seconds: 60\nvips: ["}) {
    CAPTURE(rubbish);
    TimedWriter timed;
    timed.Apply(Two());
    WriteText(NoteOf(timed), rubbish);
    Successor next(timed);
    CHECK_FALSE(next.writer.snapshot()->store->unconfirmed);
    REQUIRE(next.writer.Tend());
    CHECK(next.writer.snapshot()->desired == Two());
    REQUIRE(next.writer.Change(To(Changed()), false));
    CHECK(TextOf(NoteOf(timed)) == rubbish);
  }
}

TEST_CASE("A change that fails is not waited for") {
  TimedWriter timed;
  timed.Apply(Two());
  timed.bench.dataplane.FailWrite(5);
  REQUIRE_FALSE(timed.writer.Change(To(Changed()), false, Within(seconds(60))));
  timed.bench.dataplane.FailNone();
  CHECK_FALSE(timed.writer.snapshot()->store->unconfirmed);
  CHECK_FALSE(fs::exists(NoteOf(timed)));
  timed.RunFor(seconds(61));
  CHECK(timed.writer.snapshot()->store->generation == 2);
}

TEST_CASE("A change that is to be confirmed is not made where that cannot be noted") {
  TimedWriter timed;
  timed.Apply(Two());
  fs::create_directory(NoteOf(timed));
  timed.bench.dataplane.FailNone();
  const auto report = timed.writer.Change(To(Changed()), false, Within(seconds(60)));
  REQUIRE_FALSE(report);
  CHECK_THAT(report.error().message, Catch::Contains("noting that the change is to be confirmed"));
  CHECK(timed.bench.dataplane.writes() == 0);
  CHECK(timed.bench.Stored() == Two());
}

TEST_CASE("Times to confirm that make no sense are refused") {
  TimedWriter timed;
  for (const seconds within : {seconds(0), seconds(-1), kMaxConfirmWithin + seconds(1)}) {
    const auto report = timed.writer.Change(To(Two()), false, Within(within));
    REQUIRE_FALSE(report);
    CHECK_THAT(report.error().message, Catch::Contains("expected 1 to 86400 s"));
  }
}

TEST_CASE("Taking back that fails is tried again until it is done") {
  Waiting timed;
  timed.bench.dataplane.FailWrite(1);
  timed.now += seconds(61);
  CHECK_FALSE(timed.writer.Tend());
  CHECK(timed.waits());
  timed.bench.dataplane.FailNone();
  timed.RunFor(seconds(3));
  CHECK(timed.desired() == Two());
  CHECK_FALSE(timed.waits());
}

TEST_CASE("Taking back wins over what somebody edited into the store meanwhile") {
  Waiting timed;
  WriteText(timed.bench.folder.store(), ToYaml(SmallState()));
  timed.RunFor(seconds(61));
  CHECK(timed.desired() == Two());
  CHECK(timed.bench.Stored() == Two());
}

TEST_CASE("A drained real whose time is up stays until the change that waits is decided") {
  TimedWriter timed;
  DesiredState state = Two();
  state.vips[kVip].reals[kReal].state = RealState::kDrain;
  state.vips[kVip].reals[kReal].drain_seconds = 5;
  timed.Apply(state);
  state.vips[kOther].reals[Address("10.0.0.19")] = {};
  REQUIRE(timed.writer.Change(To(state), false, Within(seconds(30))));
  timed.RunFor(seconds(20));
  CHECK(timed.writer.snapshot()->desired == state);
  REQUIRE(timed.writer.Confirm());
  timed.RunFor(seconds(3));
  CHECK_FALSE(timed.writer.snapshot()->desired.vips.at(kVip).reals.contains(kReal));
}

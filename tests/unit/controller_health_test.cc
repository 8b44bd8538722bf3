// SPDX-License-Identifier: Apache-2.0
// The writer and the reals' health, on a clock of the test's own, and the controller that brings it judgements.
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/control_testing.h"
#include "tests/unit/controller_testing.h"
#include "userspace/dataplane/packet_model.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kinds = std::vector<std::string>;

const IpAddress kNeighbour = Address("10.0.0.12");

// Two reals that are checked and up at once, and a VIP without a check.
DesiredState Checked() {
  DesiredState state = Two();
  state.vips[kVip].health = HealthCheck{.kind = CheckKind::kTcp, .initially_up = true};
  return state;
}

const RealEntry& EntryOf(const PlannedVip& vip, const IpAddress& address) {
  for (const auto& [index, real] : vip.reals) {
    if (real.address == address) return real;
  }
  FAIL(address.ToString() << " is not planned");
  std::abort();
}

size_t SlotsOf(const PlannedVip& vip, const IpAddress& address) {
  return static_cast<size_t>(std::ranges::count_if(*vip.ring, [&](const RingSlot& slot) {
    return slot.current_real != 0 && vip.reals.at(slot.current_real).address == address;
  }));
}

void CheckInForce(TimedWriter& timed) {
  CHECK(timed.difference() == "");
  CHECK(timed.bench.dataplane.violations() == std::vector<std::string>());
}

}  // namespace

TEST_CASE("A real that goes down leaves the ring at once, keeps its entry, and comes back to it") {
  TimedWriter timed;
  timed.Apply(Checked());
  const PlannedVip whole = timed.planned();
  const uint64_t generation = timed.writer.snapshot()->generation;
  REQUIRE(SlotsOf(whole, kReal) > 0);
  timed.Judge(kReal, Health::kDown);
  REQUIRE(timed.writer.due_at() <= timed.now);
  timed.TendIfDue();
  CHECK(SlotsOf(timed.planned(), kReal) == 0);
  CHECK_FALSE(EntryOf(timed.planned(), kReal).serves);
  CHECK(EntryOf(timed.planned(), kReal).outer);
  CHECK(timed.writer.snapshot()->liveness.at(kVip).at(kReal) == Health::kDown);
  CHECK(timed.writer.snapshot()->weights.at(kVip).healthy_percent == 50);
  CheckInForce(timed);
  timed.now += seconds(1);
  timed.Judge(kReal, Health::kUp);
  timed.TendIfDue();
  CHECK(SlotsOf(timed.planned(), kReal) == SlotsOf(whole, kReal));
  CHECK(timed.planned().reals == whole.reals);
  CHECK(timed.writer.snapshot()->generation == generation);
  CheckInForce(timed);
  CHECK(timed.EventKinds() == Kinds{"real_down", "real_up"});
  CHECK(timed.events.Since(0, 1)[0].cause == "the test says so");
  CHECK(timed.events.Since(0, 1)[0].real == kReal.ToString());
}

TEST_CASE("The flows of a real that goes down are forgotten before it serves again") {
  TimedWriter timed;
  DesiredState state = Checked();
  state.vips[kVip].tracking = Tracking::kAll;
  timed.Apply(state);
  for (uint16_t port = 1; port <= 30; ++port) {
    REQUIRE(timed.bench.dataplane.RunFrame(
        FirstFrame({Address("198.51.100.7"), port}, {kVip.address, kVip.port}, kVip.protocol), 1));
  }
  REQUIRE(timed.bench.dataplane.ReadFlows(100).value().size() == 30);
  timed.Judge(kReal, Health::kDown);
  timed.TendIfDue();
  const auto left = timed.bench.dataplane.ReadFlows(100).value();
  CHECK(left.size() > 0);
  CHECK(left.size() < 30);
  for (const RememberedFlow& flow : left) CHECK(timed.planned().reals.at(flow.real_index).address == kNeighbour);
}

TEST_CASE("A new real takes no traffic before its first pass, and then climbs") {
  TimedWriter timed;
  DesiredState state = Checked();
  state.vips[kVip].health->initially_up = false;
  state.vips[kVip].slow_start_seconds = 20;
  timed.Apply(Checked());
  state.vips[kVip].reals[Address("10.0.0.13")] = {};
  timed.Apply(state);
  CHECK(SlotsOf(timed.planned(), Address("10.0.0.13")) == 0);
  CHECK_FALSE(EntryOf(timed.planned(), Address("10.0.0.13")).serves);
  timed.Judge(Address("10.0.0.13"), Health::kUp);
  timed.TendIfDue();
  CHECK(timed.writer.snapshot()->weights.at(kVip).reals[2].climb_percent == 1);
  CHECK(SlotsOf(timed.planned(), Address("10.0.0.13")) <= 1);
  timed.RunFor(seconds(21));
  CHECK(SlotsOf(timed.planned(), Address("10.0.0.13")) >= 4);
  CheckInForce(timed);
  CHECK(timed.EventKinds() == Kinds{"real_unknown", "real_up", "climb_ended"});
}

TEST_CASE("Panic is entered and left once each, told with the healthy share, and takes no real away") {
  TimedWriter timed;
  timed.Apply(Checked());
  timed.Judge(kReal, Health::kDown);
  timed.TendIfDue();
  timed.now += seconds(1);
  timed.Judge(kNeighbour, Health::kDown);
  timed.TendIfDue();
  CHECK(timed.writer.snapshot()->weights.at(kVip).mode == VipMode::kPanicOpen);
  CHECK(SlotsOf(timed.planned(), kReal) > 0);
  CHECK(SlotsOf(timed.planned(), kNeighbour) > 0);
  CheckInForce(timed);
  timed.now += seconds(1);
  timed.Judge(kReal, Health::kUp);
  timed.Judge(kNeighbour, Health::kUp);
  timed.TendIfDue();
  CHECK(timed.writer.snapshot()->weights.at(kVip).mode == VipMode::kNormal);
  timed.RunFor(seconds(5));
  CHECK(timed.EventKinds() == Kinds{"real_down", "real_down", "panic_entered", "real_up", "real_up", "panic_left"});
  const std::string cause = timed.events.Since(2, 1)[0].cause;
  CHECK_THAT(cause, Catch::Contains("0 % of the weight is healthy") && Catch::Contains("50 %") &&
                        Catch::Contains("fail_open"));
}

TEST_CASE("Backups that join and leave, and groups that are switched, are told once each") {
  TimedWriter timed;
  DesiredState state = Checked();
  state.vips[kVip].reals[Address("10.0.0.13")].backup = true;
  state.vips[kVip].backup_below_percent = 60;
  state.vips[kVip].reals[kNeighbour].group = "green";
  state.vips[kVip].reals[Address("10.0.0.14")].group = "blue";
  state.vips[kVip].active_group = "green";
  timed.Apply(state);
  timed.Judge(kReal, Health::kDown);
  timed.TendIfDue();
  CHECK(SlotsOf(timed.planned(), Address("10.0.0.13")) > 0);
  timed.now += seconds(1);
  timed.Judge(kReal, Health::kUp);
  timed.TendIfDue();
  CHECK(SlotsOf(timed.planned(), Address("10.0.0.13")) == 0);
  state.vips[kVip].active_group = "blue";
  timed.Apply(state);
  CHECK(SlotsOf(timed.planned(), kNeighbour) == 0);
  CHECK(EntryOf(timed.planned(), kNeighbour).serves);
  CHECK(timed.EventKinds() == Kinds{"real_down", "backups_joined", "real_up", "backups_left", "group_switched"});
  CHECK(timed.events.Since(4, 1)[0].cause == "from green to blue");
}

TEST_CASE("A restarted writer marks nobody down, starts no climb and writes nothing") {
  TimedWriter timed;
  DesiredState state = Checked();
  state.vips[kVip].slow_start_seconds = 30;
  timed.Apply(state);
  timed.Judge(kReal, Health::kDown);
  timed.TendIfDue();
  timed.bench.dataplane.FailNone();
  EventLog events;
  Writer next(timed.bench.folder.store(), timed.bench.dataplane, timed.bench.next_hops, events,
              [&] { return timed.now; });
  REQUIRE(next.Adopt());
  CHECK(next.snapshot()->liveness == timed.writer.snapshot()->liveness);
  CHECK(next.snapshot()->liveness.at(kVip).at(kReal) == Health::kDown);
  CHECK(next.snapshot()->liveness.at(kVip).at(kNeighbour) == Health::kUp);
  CHECK(next.snapshot()->weights == timed.writer.snapshot()->weights);
  CHECK(events.last_id() == 0);
  // Flows of what went meanwhile are forgotten at every start; nothing else is written.
  CHECK(timed.bench.dataplane.writes() == 1);
  CHECK(Difference(timed.bench.dataplane.Read().value(), next.snapshot()->plan) == "");
}

TEST_CASE("Health that cannot be written is undone, kept, and written when it can be") {
  for (size_t failing = 1; failing <= 3; ++failing) {
    CAPTURE(failing);
    TimedWriter timed;
    timed.Apply(Checked());
    const Plan before = timed.writer.snapshot()->plan;
    timed.bench.dataplane.FailWrite(failing);
    timed.Judge(kReal, Health::kDown);
    const Status tended = timed.writer.Tend();
    REQUIRE_FALSE(tended);
    CHECK_THAT(tended.error().message, Catch::Contains("health") && Catch::Contains("was made to fail"));
    CHECK(timed.writer.settled());
    CHECK(Difference(timed.bench.dataplane.Read().value(), before) == "");
    CHECK(timed.writer.snapshot()->liveness.at(kVip).at(kReal) == Health::kUp);
    timed.bench.dataplane.FailNone();
    CHECK(timed.writer.due_at() > timed.now);
    timed.RunFor(milliseconds(1100));
    CHECK(timed.writer.snapshot()->liveness.at(kVip).at(kReal) == Health::kDown);
    CHECK(SlotsOf(timed.planned(), kReal) == 0);
    CheckInForce(timed);
    CHECK(timed.EventKinds() == Kinds{"real_down"});
  }
}

TEST_CASE("Health goes on after an undo that failed too was mended") {
  TimedWriter timed;
  timed.Apply(Checked());
  timed.bench.dataplane.FailWrites(2, SIZE_MAX);
  timed.Judge(kReal, Health::kDown);
  REQUIRE_FALSE(timed.writer.Tend());
  CHECK_FALSE(timed.writer.settled());
  CHECK(timed.writer.due_at() == SteadyTime::max());
  timed.bench.dataplane.FailNone();
  REQUIRE(timed.writer.Refresh());
  CHECK(timed.writer.settled());
  timed.RunFor(milliseconds(1100));
  CHECK(SlotsOf(timed.planned(), kReal) == 0);
  CheckInForce(timed);
}

TEST_CASE("A change that fails leaves health as it was, and the next one takes the newest along") {
  TimedWriter timed;
  timed.Apply(Checked());
  timed.Judge(kReal, Health::kDown);
  DesiredState wanted = Checked();
  wanted.vips[kVip].reals[kNeighbour].weight = 20;
  const auto set = [&](DesiredState& state) -> Status {
    state = wanted;
    return {};
  };
  timed.bench.dataplane.FailWrite(1);
  REQUIRE_FALSE(timed.writer.Change(set, false));
  CHECK(timed.writer.snapshot()->liveness.at(kVip).at(kReal) == Health::kUp);
  timed.bench.dataplane.FailNone();
  REQUIRE(timed.writer.Change(set, false));
  CHECK(timed.writer.snapshot()->liveness.at(kVip).at(kReal) == Health::kDown);
  CHECK(SlotsOf(timed.planned(), kReal) == 0);
  CheckInForce(timed);
}

TEST_CASE("A real that drains with a time limit goes when its flows are gone") {
  TimedWriter timed;
  DesiredState state = Checked();
  state.vips[kVip].tcp_settle_seconds = 10;
  timed.Apply(state);
  state.vips[kVip].reals[kReal].state = RealState::kDrain;
  state.vips[kVip].reals[kReal].drain_seconds = 3600;
  timed.Apply(state);
  REQUIRE(timed.progress().moving > 0);
  timed.RunFor(seconds(9));
  CHECK(timed.writer.snapshot()->desired.vips.at(kVip).reals.contains(kReal));
  timed.RunFor(seconds(10));
  CHECK_FALSE(timed.writer.snapshot()->desired.vips.at(kVip).reals.contains(kReal));
  CHECK_FALSE(timed.bench.Stored().vips.at(kVip).reals.contains(kReal));
  CHECK(timed.EventKinds() == Kinds{"drain_ended"});
  CHECK_THAT(timed.events.Since(0, 1)[0].cause, Catch::Contains("its flows are gone"));
  CheckInForce(timed);
}

TEST_CASE("A real that drains with a time limit goes when its time is up, though flows are left") {
  TimedWriter timed;
  DesiredState state = Checked();
  state.vips[kVip].tracking = Tracking::kAll;
  timed.Apply(state);
  const auto keep_alive = [&] {
    for (uint16_t port = 1; port <= 30; ++port) {
      REQUIRE(timed.bench.dataplane.RunFrame(
          FirstFrame({Address("198.51.100.7"), port}, {kVip.address, kVip.port}, kVip.protocol), 1));
    }
  };
  keep_alive();
  state.vips[kVip].reals[kReal].state = RealState::kDrain;
  state.vips[kVip].reals[kReal].drain_seconds = 30;
  timed.Apply(state);
  for (int second = 0; second < 29; ++second) {
    keep_alive();
    timed.RunFor(seconds(1));
  }
  CHECK(timed.writer.snapshot()->desired.vips.at(kVip).reals.contains(kReal));
  timed.RunFor(seconds(2));
  CHECK_FALSE(timed.writer.snapshot()->desired.vips.at(kVip).reals.contains(kReal));
  CHECK(timed.EventKinds() == Kinds{"drain_ended"});
  CHECK_THAT(timed.events.Since(0, 1)[0].cause, Catch::Contains("its time is up"));
}

TEST_CASE("A drain that cannot be ended is tried again, a drain without a limit never ends") {
  TimedWriter timed;
  DesiredState state = Checked();
  state.vips[kVip].tracking = Tracking::kNone;
  timed.Apply(state);
  for (const IpAddress& real : {kReal, kNeighbour}) state.vips[kVip].reals[real].state = RealState::kDrain;
  state.vips[kVip].reals[kReal].drain_seconds = 1;
  timed.Apply(state);
  timed.bench.dataplane.FailWrites(1, SIZE_MAX);
  timed.now += seconds(2);
  REQUIRE_FALSE(timed.writer.Tend());
  CHECK(timed.EventKinds().empty());
  timed.bench.dataplane.FailNone();
  REQUIRE(timed.writer.Refresh());
  timed.RunFor(seconds(30));
  CHECK(timed.EventKinds() == Kinds{"drain_ended"});
  CHECK(timed.writer.snapshot()->desired.vips.at(kVip).reals.contains(kNeighbour));
}

TEST_CASE("The controller takes judgements from any thread, and hands out reports and events") {
  Bench bench;
  bench.Start();
  bench.Apply(Checked());
  bench.controller->NoteHealth({});
  bench.controller->NoteHealth({{.vip = kVip, .real = kReal, .health = Health::kDown, .cause = "one"}});
  bench.controller->NoteHealth({{.vip = kVip, .real = kReal, .health = Health::kUp, .cause = "two"}});
  bench.controller->NoteHealth({{.vip = kVip, .real = kReal, .health = Health::kDown, .cause = "three"}});
  CHECK(Eventually([&] {
    const auto snapshot = bench.controller->snapshot();
    return snapshot->liveness.at(kVip).at(kReal) == Health::kDown && bench.controller->events().last_id() == 3;
  }));
  CHECK(bench.controller->events().Since(0, 9)[2].cause == "three");
  CHECK(Eventually([&] { return SlotsOf(bench.controller->snapshot()->plan.vips.at(kVip), kReal) == 0; }));
  bench.CheckConsistent();
  CHECK(bench.controller->health()->vips.empty());
  auto report = std::make_shared<HealthReport>();
  report->totals.targets = 7;
  bench.controller->PublishHealth(report);
  CHECK(bench.controller->health()->totals.targets == 7);
}

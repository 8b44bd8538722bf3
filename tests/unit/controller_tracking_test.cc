// SPDX-License-Identifier: Apache-2.0
// The writer as time goes by, on a clock of the test's own, and the controller that gives it its time.
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

DesiredState Drained() {
  DesiredState state = Two();
  state.vips[kVip].reals[kReal].state = RealState::kDrain;
  return state;
}

}  // namespace

TEST_CASE("Slots settle as time goes by, and readers see how far they are") {
  TimedWriter timed;
  timed.Apply(Two());
  CHECK(timed.progress().stable == 13);
  timed.Apply(Drained());
  const uint32_t moving = timed.progress().moving;
  CHECK(moving > 0);
  CHECK(timed.progress().settles_in == seconds(600));
  timed.RunFor(seconds(300));
  CHECK(timed.progress().moving == moving);
  CHECK(timed.progress().settles_in.value() <= seconds(301));
  timed.RunFor(seconds(303));
  CHECK(timed.progress().stable == 13);
  CHECK(timed.difference() == "");
  CHECK(timed.bench.dataplane.violations() == std::vector<std::string>());
}

TEST_CASE("Slots that cannot be written are looked at again, and settle then") {
  TimedWriter timed;
  timed.Apply(Two());
  timed.Apply(Drained());
  timed.RunFor(seconds(2));
  timed.bench.dataplane.FailSlots(true);
  timed.now += seconds(10);
  const Status tended = timed.writer.Tend();
  REQUIRE_FALSE(tended);
  CHECK_THAT(tended.error().message, Catch::Contains(kVip.ToString()) && Catch::Contains("was made to fail"));
  CHECK_FALSE(timed.writer.settled());
  CHECK(timed.writer.due_at() == SteadyTime::max());
  timed.bench.dataplane.FailSlots(false);
  REQUIRE(timed.writer.Refresh());
  CHECK(timed.writer.settled());
  CHECK(timed.difference() == "");
  timed.RunFor(seconds(610));
  CHECK(timed.progress().stable == 13);
  CHECK(timed.difference() == "");
}

TEST_CASE("A restarted writer lets what it finds moving settle, as if it had changed just now") {
  TimedWriter timed;
  timed.Apply(Two());
  timed.Apply(Drained());
  timed.RunFor(seconds(500));
  const uint32_t moving = timed.progress().moving;
  REQUIRE(moving > 0);
  EventLog events;
  Writer next(timed.bench.folder.store(), timed.bench.dataplane, timed.bench.next_hops, events,
              [&] { return timed.now; });
  REQUIRE(next.Adopt());
  CHECK(next.snapshot()->observed->slots.at(kVip).moving == moving);
  CHECK(next.snapshot()->observed->slots.at(kVip).settles_in == seconds(600));
  CHECK(Difference(timed.bench.dataplane.Read().value(), next.snapshot()->plan) == "");
}

TEST_CASE("Flows are measured every ten seconds as long as there are VIPs") {
  TimedWriter timed;
  timed.RunFor(seconds(30));
  CHECK(timed.writer.due_at() == SteadyTime::max());
  timed.Apply(Two());
  for (uint16_t port = 1; port <= 30; ++port) {
    const auto frame = FirstFrame({Address("198.51.100.7"), port}, {kVip.address, kVip.port}, kVip.protocol);
    REQUIRE(timed.bench.dataplane.RunFrame(frame, 1));
  }
  timed.RunFor(seconds(11));
  CHECK(timed.writer.snapshot()->observed->activity.at(kVip).vip.flows == 30);
  timed.RunFor(seconds(30));
  CHECK(timed.writer.snapshot()->observed->activity.at(kVip).vip.flows == 0);
}

TEST_CASE("A change that moves flows says so beforehand and when it is made") {
  TimedWriter timed;
  timed.Apply(Two());
  DesiredState wanted = Two();
  wanted.vips[kVip].ring_size = 17;
  for (const bool dry_run : {true, false}) {
    const ChangeReport report = timed.Apply(wanted, dry_run);
    REQUIRE(report.warnings.size() == 1);
    CHECK_THAT(report.warnings[0], Catch::Contains(kVip.ToString()) && Catch::Contains("ring size"));
  }
}

TEST_CASE("The controller lets slots settle without being asked") {
  Bench bench;
  bench.Start();
  DesiredState state = Two();
  state.vips[kOther].reals[Address("10.0.0.12")] = {};
  state.vips[kOther].udp_idle_seconds = 1;
  bench.Apply(state);
  state.vips[kOther].reals[kReal].state = RealState::kDrain;
  bench.Apply(state);
  CHECK(bench.controller->snapshot()->observed->slots.at(kOther).moving > 0);
  CHECK(Eventually([&] { return bench.controller->snapshot()->observed->slots.at(kOther).stable == 13; }));
  bench.CheckConsistent();
}

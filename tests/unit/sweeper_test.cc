// SPDX-License-Identifier: Apache-2.0
// The sweeper on the in-memory data plane: when it works, how much at a time, and what becomes of slots and flows.
#include "userspace/control/sweeper.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/unit/control_testing.h"
#include "userspace/control/planner.h"
#include "userspace/control/writes.h"
#include "userspace/dataplane/packet_model.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const VipKey kVip = Key("203.0.113.10:443/tcp");
const IpAddress kFirst = Address("10.0.0.1");

// One VIP with two reals on a small ring; slots settle after 100 seconds.
struct Swept {
  explicit Swept(Tracking tracking = Tracking::kMoving, uint64_t places_per_step = 1000)
      : sweeper(dataplane, places_per_step) {
    desired.vips[kVip].tracking = tracking;
    desired.vips[kVip].tcp_settle_seconds = 100;
    Write();
  }

  SteadyTime now() const { return SteadyTime() + milliseconds(now_ms); }
  Vip& vip() { return desired.vips[kVip]; }
  const PlannedVip& planned() const { return plan.vips.at(kVip); }
  SlotProgress progress() const { return sweeper.Progress(desired, plan, now()).at(kVip); }
  size_t remembered() { return dataplane.ReadFlows(1000).value().size(); }

  void Write() {
    const auto next = PlanFrom(plan, desired, dataplane.capacities(), now());
    REQUIRE(next);
    REQUIRE(Execute(OrderWrites(plan, *next), *next, dataplane));
    plan = *next;
    sweeper.NotePlan(now());
  }

  SweepStep Step() {
    auto step = sweeper.Step(desired, plan, now());
    REQUIRE(step);
    for (const SlotChanges& change : step->changes) {
      REQUIRE(dataplane.SetSlots(change.vip_id, change.ring, change.slots));
      plan.vips.at(change.vip).ring = change.ring;
      plan.vips.at(change.vip).unsettled = change.unsettled;
    }
    passes += step->ended_pass ? 1 : 0;
    return *step;
  }

  // As the writer thread does it.
  void RunFor(seconds time) {
    for (const int64_t end_ms = now_ms + 1000 * time.count(); now_ms < end_ms; now_ms += 50) {
      if (now() >= sweeper.due_at()) Step();
    }
  }

  void Open(uint16_t port) {
    REQUIRE(
        dataplane.RunFrame(FirstFrame({Address("198.51.100.7"), port}, {kVip.address, kVip.port}, kVip.protocol), 1));
  }

  int64_t now_ms = 5000;
  int passes = 0;  // that ended
  MemoryDataplane dataplane{
      {.max_vips = 4, .max_reals = 64, .max_flows = 100}, 2, [this] { return static_cast<uint32_t>(now_ms / 1000); }};
  Sweeper sweeper;
  DesiredState desired = WithReals(kVip, 2);
  Plan plan;
};

}  // namespace

TEST_CASE("The sweeper sleeps where nothing is to settle and nothing is remembered") {
  Swept swept;
  CHECK(swept.sweeper.due_at() == swept.now());  // one pass, for what the last change may have left
  CHECK(swept.Step().ended_pass);
  CHECK(swept.sweeper.due_at() == SteadyTime::max());
  swept.now_ms += 1000000;
  CHECK(swept.sweeper.due_at() == SteadyTime::max());
  swept.sweeper.NotePlan(swept.now());
  CHECK(swept.sweeper.due_at() == swept.now());
}

TEST_CASE("A pass takes as many steps as its bound asks for, and one pass a second is the most") {
  Swept swept(Tracking::kMoving, 30);
  const SteadyTime begun = swept.now();
  for (int step = 1; step <= 3; ++step) {
    CHECK_FALSE(swept.Step().ended_pass);
    CHECK(swept.sweeper.due_at() == swept.now() + Sweeper::kStepInterval);
    swept.now_ms += 100;
  }
  swept.sweeper.NotePlan(swept.now());
  CHECK(swept.Step().ended_pass);
  CHECK(swept.sweeper.due_at() == begun + Sweeper::kPassInterval);
}

TEST_CASE("A drained real's slots are held, then open, then settled, then stable") {
  Swept swept;
  swept.vip().reals[kFirst].state = RealState::kDrain;
  swept.Write();
  const uint32_t moving = swept.progress().moving;
  REQUIRE(moving > 0);
  const auto held = [&] { return std::ranges::count(*swept.planned().ring, true, &RingSlot::hold); };
  CHECK(swept.progress().settles_in == seconds(100));
  swept.RunFor(seconds(3));
  CHECK(held() == moving);
  swept.RunFor(seconds(3));
  CHECK(held() == 0);
  CHECK(swept.progress().moving == moving);
  swept.RunFor(seconds(92));
  CHECK(swept.progress().moving == moving);
  swept.RunFor(seconds(7));
  CHECK(swept.progress().moving == 0);
  CHECK(swept.progress().stable == 13);
  CHECK_FALSE(swept.progress().settles_in);
  CHECK(swept.plan.vips.at(kVip).unsettled.empty());
  CHECK(Difference(swept.dataplane.Read().value(), swept.plan) == "");
  swept.RunFor(seconds(2));
  CHECK(swept.sweeper.due_at() == SteadyTime::max());
}

TEST_CASE("Flows that settled slots send elsewhere keep them from being stable until they are silent") {
  Swept swept;
  swept.vip().reals[kFirst].state = RealState::kDrain;
  swept.Write();
  auto frame = FirstFrame({Address("198.51.100.7"), 1000}, {kVip.address, kVip.port}, kVip.protocol);
  uint16_t port = 1000;
  while (swept.remembered() == 0) swept.Open(++port);  // held: it goes to the drained real
  frame = FirstFrame({Address("198.51.100.7"), port}, {kVip.address, kVip.port}, kVip.protocol);
  frame[14 + 20 + 13] = 0x10;  // TCP flags: ACK
  for (int time = 0; time < 20; ++time) {
    REQUIRE(swept.dataplane.RunFrame(frame, 1));
    swept.RunFor(seconds(10));
  }
  CHECK(swept.progress().with_exceptions == 1);
  CHECK(swept.progress().moving == 0);
  CHECK(swept.progress().remembered == 1);
  CHECK(swept.progress().stable == 12);
  swept.RunFor(seconds(110));
  CHECK(swept.progress().stable == 13);
  CHECK(swept.remembered() == 0);
}

TEST_CASE("A refusal keeps slots moving") {
  Swept swept;
  swept.vip().reals[kFirst].state = RealState::kDrain;
  swept.Write();
  const uint32_t moving = swept.progress().moving;
  swept.RunFor(seconds(60));
  swept.dataplane.set_flow_entries_per_second(0);
  for (uint16_t port = 1; port < 200; ++port) swept.Open(port);
  swept.dataplane.set_flow_entries_per_second(1000);
  swept.RunFor(seconds(95));
  CHECK(swept.progress().moving == moving);
  CHECK(swept.progress().refused > 0);
  swept.RunFor(seconds(10));
  CHECK(swept.progress().moving == 0);
}

TEST_CASE("Where all flows are tracked, the sweeper only lets the silent ones go, and sleeps without any") {
  Swept swept(Tracking::kAll);
  swept.Step();
  REQUIRE(swept.sweeper.due_at() == SteadyTime::max());
  for (uint16_t port = 1; port <= 20; ++port) swept.Open(port);
  swept.sweeper.NotePlan(swept.now());
  swept.RunFor(seconds(20));
  CHECK(swept.remembered() == 20);
  CHECK(swept.passes <= 4);   // every ten seconds will do
  swept.RunFor(seconds(30));  // no packet confirmed them
  CHECK(swept.remembered() == 0);
  CHECK(swept.sweeper.due_at() == SteadyTime::max());
}

TEST_CASE("What packets under way enter for a real or a VIP that is gone does not stay") {
  Swept swept(Tracking::kAll);
  for (uint16_t port = 1; port <= 20; ++port) swept.Open(port);
  const Plan before = swept.plan;
  swept.vip().reals.erase(kFirst);
  swept.Write();
  const size_t left = swept.remembered();
  REQUIRE(left < 20);
  // The old plan is in force once more for a moment, as it is to a packet that met it.
  for (const auto& [index, real] : before.vips.at(kVip).reals) {
    const RealWrite write{before.vips.at(kVip).entry.real_base + index, real};
    REQUIRE(swept.dataplane.SetReals(std::span(&write, 1)));
  }
  REQUIRE(swept.dataplane.SetVips(before));
  for (uint16_t port = 1; port <= 20; ++port) swept.Open(port);
  REQUIRE(swept.dataplane.SetVips(swept.plan));
  REQUIRE(swept.remembered() > left);
  swept.RunFor(seconds(1));
  CHECK(swept.remembered() == left);
  swept.desired.vips.clear();
  REQUIRE(swept.sweeper.Step(swept.desired, {}, swept.now() + seconds(1)));
  swept.sweeper.NotePlan(swept.now() + seconds(1));
  REQUIRE(swept.sweeper.Step(swept.desired, {}, swept.now() + seconds(2)));
  CHECK(swept.remembered() == 0);
}

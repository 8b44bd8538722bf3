// SPDX-License-Identifier: Apache-2.0
// Targets being probed: when each is asked, and who is told what.
#include "userspace/health/probing.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "tests/unit/health_probing_testing.h"

using namespace shunt;                    // NOLINT: the tests read like the code
using namespace shunt::testing::probing;  // NOLINT

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("A real that answers comes up with its first probe, one that does not goes down after fall") {
  World world;
  world.answers[RealNumber(1)] = {.passes = false};
  world.Follow(MakeTargets(Checked(TcpCheck(), 2)));
  CHECK(world.HealthIn(kVip, kReal) == Health::kUnknown);
  world.Pass(seconds(1));
  CHECK(world.HealthIn(kVip, kReal) == Health::kUp);
  CHECK(world.HealthIn(kVip, RealNumber(1)) == Health::kUnknown);
  world.Pass(seconds(2));
  CHECK(world.HealthIn(kVip, RealNumber(1)) == Health::kDown);
  REQUIRE(world.changes.size() == 2);
  CHECK(world.told_of_news == 2);
  CHECK(world.changes[0].cause == "1 probe passed");
  CHECK(world.changes[1].real == RealNumber(1));
  CHECK(world.changes[1].health == Health::kDown);
  CHECK(world.changes[1].cause == "3 probes failed: refused");
}

TEST_CASE("Judgement starts from what was in force before") {
  World world;
  const Liveness liveness{{kVip, {{kReal, Health::kUp}, {RealNumber(1), Health::kDown}}}};
  world.Follow(MakeTargets(Checked(TcpCheck(), 2)), liveness);
  CHECK(world.changes.empty());
  CHECK(world.HealthIn(kVip, kReal) == Health::kUp);
  world.Pass(seconds(1));
  CHECK(world.HealthIn(kVip, RealNumber(1)) == Health::kDown);
  CHECK(world.changes.empty());
  world.Pass(seconds(1));  // rise is 2
  CHECK(world.HealthIn(kVip, RealNumber(1)) == Health::kUp);
}

TEST_CASE("From failure to judgement it takes no longer than fall intervals and a timeout, whatever the jitter") {
  for (const uint32_t jitter : {0u, 10u, 50u}) {
    for (const uint32_t fall : {2u, 3u, 5u}) {
      HealthCheck check = TcpCheck();
      check.fall = fall;
      check.jitter_percent = jitter;
      World world;
      constexpr int kReals = 300;
      world.Follow(MakeTargets(Checked(check, kReals)));
      world.Pass(seconds(10));
      for (int i = 0; i < kReals; ++i) world.answers[RealNumber(i)] = {.after = seconds(9)};
      const size_t before = world.changes.size();
      REQUIRE(before == kReals);
      // Exact: 300 reals were at any point between two probes.
      world.Pass(fall * milliseconds(1000) + milliseconds(201));
      INFO("jitter " << jitter << ", fall " << fall);
      CHECK(world.changes.size() == before + kReals);
    }
  }
}

TEST_CASE("A failing real is asked at the failing interval, and at the usual one again when it is up") {
  HealthCheck check = TcpCheck();
  check.failing_interval_ms = 250;
  World world;
  world.Follow(MakeTargets(Checked(check, 1)));
  world.Pass(seconds(10));
  CHECK(world.starts.size() == 10);
  world.answers[kReal].passes = false;
  world.Pass(seconds(1));
  world.starts.clear();
  world.Pass(seconds(10));
  CHECK(world.starts.size() == 40);
  CHECK(world.HealthIn(kVip, kReal) == Health::kDown);
  world.answers[kReal].passes = true;
  world.Pass(seconds(1));
  CHECK(world.HealthIn(kVip, kReal) == Health::kUp);
  world.starts.clear();
  world.Pass(seconds(10));
  CHECK(world.starts.size() == 10);
}

TEST_CASE("A failing interval longer than the usual one spares a real that is down, and delays no judgement") {
  HealthCheck check = TcpCheck();
  check.failing_interval_ms = 5000;
  check.fall = 3;
  World world;
  world.Follow(MakeTargets(Checked(check, 1)), {{kVip, {{kReal, Health::kUp}}}});
  world.Pass(seconds(10));
  world.answers[kReal].passes = false;
  world.Pass(seconds(3));
  CHECK(world.HealthIn(kVip, kReal) == Health::kDown);
  world.starts.clear();
  world.Pass(seconds(50));
  CHECK(world.starts.size() == 10);
}

TEST_CASE("A real that is down for long is asked as often as ever") {
  World world;
  world.answers[kReal].passes = false;
  world.Follow(MakeTargets(Checked(TcpCheck(), 1)));
  world.Pass(seconds(3600));
  world.starts.clear();
  world.Pass(seconds(100));
  CHECK(world.starts.size() == 100);
}

TEST_CASE("VIPs that share a probe are each told, and each judges by its own rules") {
  HealthCheck patient = TcpCheck();
  patient.port = 80;
  patient.fall = 5;
  Snapshot snapshot = Checked(TcpCheck(), 1, {kVip, kOther});
  snapshot.desired.vips[kOther].health = patient;
  World world;
  world.Follow(MakeTargets(snapshot));
  world.Pass(seconds(1));
  CHECK(world.StartsOf(kReal) == 1);
  CHECK(world.HealthIn(kVip, kReal) == Health::kUp);
  CHECK(world.HealthIn(kOther, kReal) == Health::kUp);
  world.answers[kReal].passes = false;
  world.Pass(seconds(3));
  CHECK(world.HealthIn(kVip, kReal) == Health::kDown);
  CHECK(world.HealthIn(kOther, kReal) == Health::kUp);
  world.Pass(seconds(2));
  CHECK(world.HealthIn(kOther, kReal) == Health::kDown);
  CHECK(world.starts.size() == 6);
  CHECK(world.probing.Report().totals.targets == 1);
}

TEST_CASE("An answer after a VIP's own timeout is none for it, told when its time is up") {
  Snapshot snapshot = Checked(TcpCheck(), 1, {kVip, kOther});
  snapshot.desired.vips[kVip].health->timeout_ms = 100;
  snapshot.desired.vips[kVip].health->fall = 1;
  snapshot.desired.vips[kOther].health->timeout_ms = 800;
  const TargetTable targets = MakeTargets(snapshot);
  World world;
  world.answers[kReal].after = milliseconds(500);
  world.Follow(targets, {{kVip, {{kReal, Health::kUp}}}, {kOther, {{kReal, Health::kUnknown}}}});
  const SteadyTime due = *world.probing.next_due();
  world.Pass(due + milliseconds(99) - world.now.steady);
  REQUIRE(world.starts.size() == 1);
  CHECK(world.starts[0].timeout == milliseconds(800));
  CHECK(world.changes.empty());
  world.Pass(milliseconds(2));
  REQUIRE(world.changes.size() == 1);
  CHECK(world.changes[0].vip == kVip);
  CHECK(world.changes[0].cause == "1 probe failed: no answer within 100 ms");
  world.Pass(milliseconds(500));
  CHECK(world.HealthIn(kOther, kReal) == Health::kUp);
  const RealReport report = world.Report(kVip, kReal);
  CHECK(report.failed == 1);
  CHECK(report.passed == 0);
  CHECK(world.Report(kOther, kReal).passed == 1);
}

TEST_CASE("An answer after a VIP's own timeout is none for it, even where nobody looked in between") {
  Snapshot snapshot = Checked(TcpCheck(), 1, {kVip, kOther});
  snapshot.desired.vips[kVip].health->timeout_ms = 100;
  snapshot.desired.vips[kOther].health->timeout_ms = 800;
  World world;
  world.answers[kReal].after = milliseconds(500);
  world.Follow(MakeTargets(snapshot));
  world.Pass(*world.probing.next_due() + milliseconds(1) - world.now.steady);
  REQUIRE(world.under_way.size() == 1);
  const World::UnderWay probe = world.under_way.front();
  world.under_way.clear();
  world.now.steady = probe.ends;
  probe.done(probe.outcome);
  CHECK(world.Report(kVip, kReal).last_cause == "no answer within 100 ms");
  CHECK(world.Report(kOther, kReal).health == Health::kUp);
}

TEST_CASE("A probe that cannot be sent fails with the reason, and no prober is made") {
  HealthCheck check = TcpCheck();
  check.via = ProbeVia::kTunnel;
  Snapshot snapshot = Checked(check, 1);
  snapshot.next_hops[kReal] = {.next_hop = {}, .problem = "no route to 10.0.0.1"};
  World world;
  world.Follow(MakeTargets(snapshot), {{kVip, {{kReal, Health::kUp}}}});
  world.Pass(seconds(3));
  REQUIRE(world.changes.size() == 1);
  CHECK(world.changes[0].cause == "3 probes failed: no next hop: no route to 10.0.0.1");
  CHECK(world.starts.empty());
  CHECK(world.probers == 0);
  CHECK(world.probing.Report().totals.in_flight == 0);
}

TEST_CASE("A closed tunnel fails the probes that need it and no others") {
  TargetTable targets = MakeTargets(Checked(TcpCheck(), 1));
  HealthCheck check = TcpCheck();
  check.via = ProbeVia::kTunnel;
  TargetTable tunnelled = MakeTargets(Checked(check, 1, {kOther}));
  for (auto& [key, target] : tunnelled) {
    target.problem.clear();
    target.route = {.mark = 77};
    targets.emplace(key, target);
  }
  World world;
  world.tunnel_problem = "203.0.113.11 is an address of this host";
  world.Follow(targets);
  CHECK(world.probing.tunnelled_vips() == std::set{kOther.address});
  world.Pass(seconds(3));
  CHECK(world.HealthIn(kVip, kReal) == Health::kUp);
  CHECK(world.HealthIn(kOther, kReal) == Health::kDown);
  CHECK(world.Report(kOther, kReal).last_cause == "203.0.113.11 is an address of this host");
  world.tunnel_problem.clear();
  world.starts.clear();
  world.Pass(seconds(1));
  CHECK(std::ranges::count(world.starts, 77u, &World::Start::mark) == 1);
}

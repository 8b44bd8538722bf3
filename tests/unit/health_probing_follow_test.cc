// SPDX-License-Identifier: Apache-2.0
// Targets that come, stay and go, how many are under way at once, and what the report says of them.
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

TEST_CASE("Targets that stay keep prober and judgement through other intervals, routes and companions") {
  World world;
  world.Follow(MakeTargets(Checked(TcpCheck(), 1)));
  world.Pass(seconds(10));
  const RealReport before = world.Report(kVip, kReal);
  HealthCheck slower = TcpCheck();
  slower.interval_ms = 5000;
  slower.port = 80;
  world.Follow(MakeTargets(Checked(slower, 3, {kVip, kOther})), {{kVip, {{kReal, Health::kUp}}}});
  CHECK(world.Report(kVip, kReal) == before);
  CHECK(world.HealthIn(kOther, kReal) == Health::kUnknown);
  world.starts.clear();
  world.Pass(seconds(50));
  CHECK(world.StartsOf(kReal) == 10);
  CHECK(world.probers == 3);
  world.Follow({});
  CHECK(world.probers == 0);
  CHECK(world.probing.Report().vips.empty());
  CHECK_FALSE(world.probing.next_due());
}

TEST_CASE("A target that goes while its probe is under way is told of no more, and its number is free") {
  World world(1);
  world.answers[kReal].after = milliseconds(150);
  world.Follow(MakeTargets(Checked(TcpCheck(), 1)));
  world.Pass(*world.probing.next_due() + milliseconds(1) - world.now.steady);
  REQUIRE(world.under_way.size() == 1);
  world.Follow({});
  CHECK(world.probing.Report().totals.in_flight == 0);
  world.answers[RealNumber(1)] = {};
  Snapshot other;
  other.desired.vips[kOther].health = TcpCheck();
  other.desired.vips[kOther].reals[RealNumber(1)] = {};
  world.Follow(MakeTargets(other));
  world.Pass(seconds(1));
  CHECK(world.HealthIn(kOther, RealNumber(1)) == Health::kUp);
  CHECK(world.changes.size() == 1);
}

TEST_CASE("A real that the writer knows otherwise is told again") {
  World world;
  const TargetTable targets = MakeTargets(Checked(TcpCheck(), 1));
  world.Follow(targets);
  world.Pass(seconds(1));
  REQUIRE(world.changes.size() == 1);
  world.Follow(targets, {{kVip, {{kReal, Health::kUp}}}});
  CHECK(world.probing.TakeChanges().empty());
  // It was removed and added between two looks.
  world.Follow(targets, {{kVip, {{kReal, Health::kUnknown}}}});
  const auto again = world.probing.TakeChanges();
  REQUIRE(again.size() == 1);
  CHECK(again[0].health == Health::kUp);
}

TEST_CASE("No more probes are under way at once than may be, all have their turn, and waiting is told") {
  World world(10);
  constexpr int kReals = 100;
  for (int i = 0; i < kReals; ++i) world.answers[RealNumber(i)].after = milliseconds(200);  // 20 at once are needed
  world.Follow(MakeTargets(Checked(TcpCheck(), kReals)));
  world.Pass(seconds(20));
  CHECK(world.most_under_way == 10);
  CHECK(world.told_of_news >= 900);  // each end makes room for another
  // 50 a second; a real with two turns in a row would leave another out.
  std::map<IpAddress, size_t> starts;
  for (const auto& start : world.starts) ++starts[start.real];
  CHECK(starts.size() == kReals);
  for (const auto& [real, count] : starts) {
    CHECK(count >= 9);
    CHECK(count <= 11);
  }
  const HealthTotals totals = world.probing.Report().totals;
  CHECK(totals.late_p50_us > 500000);
  CHECK(totals.in_flight == 10);
  CHECK(totals.started == totals.passed + totals.failed + totals.in_flight);
}

TEST_CASE("One turn starts a bounded number of probes and says that it is not through") {
  World world;
  world.Follow(MakeTargets(Checked(TcpCheck(), 200)));
  world.now.steady += seconds(1);
  for (const size_t started : {64u, 128u, 192u}) {
    CHECK_FALSE(world.probing.Turn());
    CHECK(world.starts.size() == started);
    CHECK(*world.probing.next_due() <= world.now.steady);
  }
  CHECK(world.probing.Turn());
  CHECK(world.starts.size() == 200);
}

TEST_CASE("The report counts targets, sockets and probes, and tells latency") {
  World world;
  world.answers[kReal].after = milliseconds(7);
  world.answers[RealNumber(1)].passes = false;
  world.Follow(MakeTargets(Checked(TcpCheck(), 2)));
  world.Pass(milliseconds(9999));
  const HealthReport report = world.probing.Report();
  CHECK(report.totals.targets == 2);
  CHECK(report.totals.sockets == 2);
  CHECK(report.totals.started == 20);
  CHECK(report.totals.passed == 10);
  CHECK(report.totals.failed == 10);
  CHECK(report.totals.late_max_us == 0);
  const RealReport& real = report.vips.at(kVip).at(kReal);
  CHECK(real.latency.last_us == 7000);
  CHECK(real.latency.average_us == 7000);
  CHECK(real.passed == 10);
  CHECK(real.in_row == 10);
  CHECK(report.vips.at(kVip).at(RealNumber(1)).last_cause == "refused");
  CHECK(report.vips.at(kVip).at(RealNumber(1)).latency == LatencyFigures{});
}

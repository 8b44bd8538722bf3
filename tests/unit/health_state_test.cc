// SPDX-License-Identifier: Apache-2.0
// When what is known of the reals' health takes effect: at once, spaced, the newest of it, and never lost.
#include "userspace/control/health_state.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/control_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const VipKey kVip = Key("203.0.113.10:443/tcp");
const VipKey kOther = Key("203.0.113.11:443/tcp");
const IpAddress kFirst = Address("10.0.0.1");
const IpAddress kSecond = Address("10.0.0.2");

SteadyTime At(int64_t ms) { return SteadyTime() + milliseconds(ms); }

// Twenty changes a second, no slow start, no panic.
DesiredState Checked(int reals) {
  DesiredState state = WithReals(kVip, reals);
  state.vips[kOther] = state.vips[kVip];
  state.defaults.panic_percent = 0;
  state.defaults.health = {.kind = CheckKind::kTcp, .initially_up = true};
  return state;
}

HealthState Following(const DesiredState& state) {
  HealthState health;
  health.Replace(health.WeighAll({}, state, At(0)));
  return health;
}

HealthChange Judged(const VipKey& vip, const IpAddress& real, Health now) {
  return {.vip = vip, .real = real, .health = now, .cause = ""};
}

// As the writer does it; the VIPs whose rings changed.
std::vector<VipKey> Take(HealthState& health, const DesiredState& state, SteadyTime now) {
  HealthInForce due = health.WeighDue(state, now);
  std::vector<VipKey> changed;
  for (const auto& [key, weights] : due.weights) {
    if (weights.reals != health.in_force().weights.at(key).reals) changed.push_back(key);
  }
  health.Update(std::move(due), changed, state, now);
  return changed;
}

}  // namespace

TEST_CASE("A judgement is due at once, and no news or one of a stranger never") {
  const DesiredState state = Checked(2);
  HealthState health = Following(state);
  CHECK(health.due_at() == SteadyTime::max());
  CHECK_FALSE(health.Note(Judged(kVip, kFirst, Health::kUp), state, At(0)));
  CHECK_FALSE(health.Note(Judged(kVip, Address("10.0.0.77"), Health::kDown), state, At(0)));
  CHECK_FALSE(health.Note(Judged(Key("203.0.113.99:1/tcp"), kFirst, Health::kDown), state, At(0)));
  CHECK(health.due_at() == SteadyTime::max());
  CHECK(health.Note(Judged(kVip, kFirst, Health::kDown), state, At(0)));
  CHECK(health.due_at() <= At(0));
  CHECK(Take(health, state, At(0)) == std::vector<VipKey>{kVip});
  CHECK(HealthOf(health.in_force().liveness, kVip, kFirst) == Health::kDown);
  CHECK(HealthOf(health.in_force().liveness, kOther, kFirst) == Health::kUp);
  CHECK(health.due_at() == SteadyTime::max());
}

TEST_CASE(
    "A VIP that nobody serves yet waits for the first judgement of all its reals, but no longer than a probe takes") {
  DesiredState state = Checked(3);
  state.defaults.health.initially_up = false;
  state.defaults.health.interval_ms = 2000;
  state.defaults.health.timeout_ms = 1000;
  HealthState health = Following(state);
  health.Note(Judged(kVip, kFirst, Health::kUp), state, At(100));
  CHECK(health.due_at() == At(3100));
  health.Note(Judged(kVip, kSecond, Health::kUp), state, At(700));
  CHECK(health.due_at() == At(3100));
  SECTION("all are judged") {
    health.Note(Judged(kVip, Address("10.0.0.3"), Health::kDown), state, At(800));
    CHECK(health.due_at() <= At(800));
    CHECK(Take(health, state, At(800)) == std::vector{kVip});
  }
  SECTION("one says nothing") {
    CHECK(Take(health, state, At(3100)) == std::vector{kVip});
    health.Note(Judged(kVip, Address("10.0.0.3"), Health::kUp), state, At(3200));
    CHECK(health.due_at() <= At(3200));  // somebody serves: a real that comes later need not wait
  }
}

TEST_CASE("Open panic ends when all its reals have come up, or after as long as one probe of the others may take") {
  DesiredState state = Checked(4);
  state.defaults.panic_percent = 50;
  state.defaults.health.interval_ms = 2000;
  state.defaults.health.timeout_ms = 1000;
  const bool is_slower = GENERATE(false, true);
  if (is_slower) state.defaults.health.failing_interval_ms = 5000;
  const SteadyTime end = At(is_slower ? 16000 : 13000);
  const auto address = [](int n) { return Address(fmt::format("10.0.0.{}", n)); };
  HealthState health = Following(state);
  for (const int n : {1, 2, 3, 4}) health.Note(Judged(kVip, address(n), Health::kDown), state, At(0));
  Take(health, state, At(0));
  REQUIRE(health.in_force().weights.at(kVip).mode == VipMode::kPanicOpen);
  health.Note(Judged(kVip, address(1), Health::kUp), state, At(10000));
  health.Note(Judged(kVip, address(2), Health::kUp), state, At(10500));
  CHECK(health.due_at() == end);
  SECTION("the others come up") {
    health.Note(Judged(kVip, address(3), Health::kUp), state, At(10600));
    CHECK(health.due_at() == end);
    health.Note(Judged(kVip, address(4), Health::kUp), state, At(10700));
    CHECK(health.due_at() <= At(10700));
    CHECK(Take(health, state, At(10700)).empty());
  }
  SECTION("the others stay down") { CHECK(Take(health, state, end) == std::vector{kVip}); }
  CHECK(health.in_force().weights.at(kVip).mode == VipMode::kNormal);
  health.Note(Judged(kVip, address(1), Health::kDown), state, At(20000));
  CHECK(health.due_at() <= At(20000));  // panic is over: nobody waits
}

TEST_CASE("A second change of one VIP's ring waits its time, other VIPs do not, and the newest state wins") {
  const DesiredState state = Checked(3);
  HealthState health = Following(state);
  health.Note(Judged(kVip, kFirst, Health::kDown), state, At(0));
  REQUIRE(Take(health, state, At(1000)).size() == 1);
  health.Note(Judged(kVip, kSecond, Health::kDown), state, At(0));
  CHECK(health.due_at() == At(1050));
  CHECK(Take(health, state, At(1049)).empty());
  health.Note(Judged(kVip, kFirst, Health::kUp), state, At(0));
  health.Note(Judged(kOther, kFirst, Health::kDown), state, At(0));
  CHECK(Take(health, state, At(1049)) == std::vector<VipKey>{kOther});
  CHECK(Take(health, state, At(1050)) == std::vector<VipKey>{kVip});
  CHECK(health.in_force().liveness.at(kVip).at(kFirst) == Health::kUp);
  CHECK(health.in_force().liveness.at(kVip).at(kSecond) == Health::kDown);
}

TEST_CASE("A real that is as before when its turn comes changes no ring and costs no turn") {
  const DesiredState state = Checked(3);
  HealthState health = Following(state);
  health.Note(Judged(kVip, kFirst, Health::kDown), state, At(0));
  health.Note(Judged(kVip, kFirst, Health::kUp), state, At(0));
  CHECK(Take(health, state, At(1000)).empty());
  health.Note(Judged(kVip, kFirst, Health::kDown), state, At(0));
  CHECK(health.due_at() <= At(1000));
}

TEST_CASE("What could not be written is due again, with what came meanwhile") {
  const DesiredState state = Checked(3);
  HealthState health = Following(state);
  health.Note(Judged(kVip, kFirst, Health::kDown), state, At(0));
  CHECK(health.WeighDue(state, At(0)).weights.size() == 1);
  health.Postpone(At(1000));
  CHECK(health.due_at() == At(1000));
  CHECK(health.WeighDue(state, At(999)).weights.empty());
  health.Note(Judged(kVip, kSecond, Health::kDown), state, At(0));
  REQUIRE(Take(health, state, At(1000)).size() == 1);
  CHECK(health.in_force().liveness.at(kVip).at(kFirst) == Health::kDown);
  CHECK(health.in_force().liveness.at(kVip).at(kSecond) == Health::kDown);
}

TEST_CASE("A change by the operator takes the newest of everything along, waiting or not") {
  const DesiredState state = Checked(3);
  HealthState health = Following(state);
  health.Note(Judged(kVip, kFirst, Health::kDown), state, At(0));
  Take(health, state, At(1000));
  health.Note(Judged(kVip, kSecond, Health::kDown), state, At(0));
  DesiredState wanted = state;
  wanted.vips[kVip].reals[kFirst].weight = 20;
  HealthInForce all = health.WeighAll(state, wanted, At(1001));
  CHECK(all.liveness.at(kVip).at(kSecond) == Health::kDown);
  CHECK(all.weights.size() == 2);
  // Until it is in force nothing has changed.
  CHECK(health.in_force().liveness.at(kVip).at(kSecond) == Health::kUp);
  CHECK(health.due_at() == At(1050));
  health.Replace(std::move(all));
  CHECK(health.due_at() == SteadyTime::max());
}

TEST_CASE("A climbing real's steps are due one after the other until it is at the top") {
  DesiredState state = Checked(3);
  state.defaults.slow_start_seconds = 20;
  HealthState health = Following(state);
  health.Note(Judged(kVip, kFirst, Health::kDown), state, At(0));
  Take(health, state, At(0));
  health.Note(Judged(kVip, kFirst, Health::kUp), state, At(0));
  Take(health, state, At(1000));
  for (int step = 1; step <= 20; ++step) {
    CAPTURE(step);
    CHECK(health.in_force().climbs.at(kVip).contains(kFirst));
    REQUIRE(health.due_at() == At(1000 + 1000 * step));
    CHECK(Take(health, state, health.due_at()).size() == 1);
  }
  CHECK(health.in_force().climbs.empty());
  CHECK(health.due_at() == SteadyTime::max());
}

TEST_CASE("A hundred reals that flap at random for a minute change the ring a bounded number of times") {
  DesiredState state = Checked(100);
  state.vips[kVip].ring_changes_per_second = 5;
  state.defaults.slow_start_seconds = 10;
  HealthState health = Following(state);
  std::mt19937 random(1);
  const auto some_real = [&] { return Address(fmt::format("10.0.0.{}", 1 + random() % 100)); };
  std::map<IpAddress, Health> newest = health.in_force().liveness.at(kVip);
  size_t judgements = 0;
  size_t changes = 0;
  for (int64_t ms = 0; ms < 60000; ms += 5) {
    if (random() % 2 == 0) {
      const IpAddress real = some_real();
      newest[real] = random() % 2 == 0 ? Health::kUp : Health::kDown;
      judgements += health.Note(Judged(kVip, real, newest[real]), state, At(0)) ? 1 : 0;
    }
    if (At(ms) >= health.due_at()) changes += Take(health, state, At(ms)).size();
  }
  CHECK(judgements > 2000);
  CHECK(changes <= 5 * 60 + 1);
  CHECK(changes > 250);
  Take(health, state, At(61000));
  CHECK(health.in_force().liveness.at(kVip) == newest);
}

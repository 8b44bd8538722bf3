// SPDX-License-Identifier: Apache-2.0
// From liveness to weights, as tables: panic, backups, canaries, groups, drain.
#include "userspace/control/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "tests/unit/control_testing.h"
#include "userspace/control/rings.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

SteadyTime At(int seconds) { return SteadyTime() + std::chrono::seconds(seconds); }

struct Row {
  Real real;
  Health health = Health::kUp;
  uint64_t share;  // expected, of the sum of these
  bool serves = true;
};

VipSettings Settings() {
  VipSettings settings;
  settings.health.kind = CheckKind::kTcp;
  return settings;
}

// What is expected of the VIP as a whole.
struct Expected {
  VipMode mode = VipMode::kNormal;
  double healthy_percent = 100;
  bool backups_used = false;
};

IpAddress Nth(size_t i) { return Address(fmt::format("10.0.{}.{}", i / 250, i % 250 + 1)); }

VipWeights Weigh(const VipSettings& settings, const std::vector<Row>& rows, const std::string& active_group = "") {
  Vip vip;
  vip.active_group = active_group;
  std::map<IpAddress, Health> health;
  for (size_t i = 0; i < rows.size(); ++i) {
    vip.reals[Nth(i)] = rows[i].real;
    if (rows[i].health != Health::kUnchecked) health[Nth(i)] = rows[i].health;
  }
  return WeighVip(settings, vip, health, {}, At(0));
}

void Check(const VipSettings& settings, const std::vector<Row>& rows, const Expected& expected,
           const std::string& active_group = "") {
  const VipWeights weights = Weigh(settings, rows, active_group);
  uint64_t shares = 0;
  uint64_t sum = 0;
  for (const Row& row : rows) shares += row.share;
  for (const RealWeight& real : weights.reals) sum += real.weight;
  for (size_t i = 0; i < rows.size(); ++i) {
    INFO("real " << i);
    CHECK(weights.reals[i].weight * shares == rows[i].share * sum);
    CHECK(weights.reals[i].serves == rows[i].serves);
    CHECK(weights.reals[i].climb_percent == 100);
  }
  CHECK(weights.mode == expected.mode);
  CHECK(weights.healthy_percent == Approx(expected.healthy_percent));
  CHECK(weights.backups_used == expected.backups_used);
  CHECK_FALSE(weights.climbs_on_at);
}

constexpr Health kUp = Health::kUp;
constexpr Health kDown = Health::kDown;
constexpr Health kUnknown = Health::kUnknown;

}  // namespace

TEST_CASE("Healthy reals get their weights, others nothing, and only those that are down lose their old flows") {
  Check(Settings(), {{{.weight = 10}, kUp, 10}, {{.weight = 30}, kUp, 30}, {{.weight = 0}, kUp, 0}}, {});
  Check(Settings(), {{{}, Health::kUnchecked, 1}, {{}, Health::kUnchecked, 1}}, {});
  Check(Settings(), {{{}, kUp, 1}, {{}, kUp, 1}, {{}, kDown, 0, false}}, {.healthy_percent = 200.0 / 3});
  Check(Settings(), {{{}, kUp, 1}, {{.state = RealState::kDrain}, kUp, 0}, {{.weight = 0}, kDown, 0, false}}, {});
  Check(Settings(), {}, {});
}

TEST_CASE("Reals that were never judged take no traffic and count in no percentage") {
  Check(Settings(), {{{}, kUp, 1}, {{}, kUnknown, 0, false}, {{}, kUnknown, 0, false}, {{}, kUnknown, 0, false}}, {});
  Check(Settings(), {{{}, kUnknown, 0, false}, {{}, kUnknown, 0, false}}, {});
  Check(Settings(), {{{}, kUp, 1}, {{}, kDown, 0, false}, {{}, kUnknown, 0, false}}, {.healthy_percent = 50});
}

TEST_CASE("Below the panic threshold, and not at it, the VIP panics as its action says") {
  VipSettings settings = Settings();
  const Real light{.weight = 49};
  const Real heavy{.weight = 51};
  Check(settings, {{{.weight = 50}, kUp, 1}, {{.weight = 50}, kDown, 0, false}}, {.healthy_percent = 50});
  settings.panic_action = PanicAction::kFailOpen;
  Check(settings, {{light, kUp, 49}, {heavy, kDown, 51}}, {VipMode::kPanicOpen, 49});
  Check(settings, {{light, kDown, 0, false}, {heavy, kUp, 1}}, {.healthy_percent = 51});
  settings.panic_action = PanicAction::kFailClosed;
  Check(settings, {{light, kUp, 1}, {heavy, kDown, 0, false}}, {VipMode::kPanicClosed, 49});
  Check(settings, {{light, kDown, 0, false}, {heavy, kDown, 0, false}}, {VipMode::kPanicClosed, 0});
  settings.panic_action = PanicAction::kWithdraw;
  Check(settings, {{light, kUp, 1}, {heavy, kDown, 0, false}}, {VipMode::kWithdrawn, 49});
}

TEST_CASE("A panic threshold of 0 never panics, one of 100 with the first real that fails") {
  VipSettings settings = Settings();
  settings.panic_percent = 0;
  Check(settings, {{{}, kDown, 0, false}, {{}, kDown, 0, false}}, {.healthy_percent = 0});
  settings.panic_percent = 100;
  Check(settings, {{{.weight = 60000}, kUp, 60000}, {{.weight = 1}, kDown, 1}},
        {VipMode::kPanicOpen, 100.0 * 60000 / 60001});
  Check(settings, {{{}, kUp, 1}, {{}, kUp, 1}}, {});
}

TEST_CASE("In open panic all that were ever judged serve, but none begins that was not to take new flows") {
  Check(Settings(),
        {{{.weight = 20}, kDown, 20},
         {{.weight = 10}, kDown, 10},
         {{}, kUnknown, 0, false},
         {{.weight = 0}, kDown, 0},
         {{.state = RealState::kDrain}, kDown, 0},
         {{.group = "green"}, kDown, 0},
         {{.weight = 5, .backup = true}, kDown, 5}},
        {VipMode::kPanicOpen, 0, true});
}

TEST_CASE("Backups join when less than their threshold of the others' weight is healthy, and count against panic") {
  VipSettings settings = Settings();
  settings.backup_below_percent = 60;
  const Real backup{.weight = 7, .backup = true};
  Check(settings, {{{}, kUp, 10}, {{}, kUp, 10}, {backup, kUp, 0}}, {});
  Check(settings, {{{.weight = 60}, kUp, 1}, {{.weight = 40}, kDown, 0, false}, {backup, kUp, 0}},
        {.healthy_percent = 60});
  Check(settings, {{{.weight = 59}, kUp, 59}, {{.weight = 41}, kDown, 0, false}, {backup, kUp, 7}},
        {.healthy_percent = 66, .backups_used = true});
  // 45 + 7 of 100 are healthy: no panic; without the backup there is.
  Check(settings, {{{.weight = 45}, kUp, 45}, {{.weight = 55}, kDown, 0, false}, {backup, kUp, 7}},
        {.healthy_percent = 52, .backups_used = true});
  settings.panic_action = PanicAction::kFailClosed;
  Check(settings, {{{.weight = 45}, kUp, 1}, {{.weight = 55}, kDown, 0, false}, {backup, kDown, 0, false}},
        {VipMode::kPanicClosed, 45});
  Check(settings, {{{}, kDown, 0, false}, {{.weight = 100, .backup = true}, kUp, 1}},
        {.healthy_percent = 100, .backups_used = true});
}

TEST_CASE("Without other reals backups serve alone") {
  const Real backup{.backup = true};
  Check(Settings(), {{backup, kUp, 1}, {backup, kUp, 1}}, {.backups_used = true});
  Check(Settings(), {{backup, kUp, 1}, {{.state = RealState::kDrain}, kUp, 0}}, {.backups_used = true});
  Check(Settings(), {{backup, kUp, 1}, {{}, kUnknown, 0, false}}, {.backups_used = true});
}

TEST_CASE("Only reals without a group and those of the active one take new flows, the others' old flows stay") {
  const std::vector<Real> reals = {{.group = "blue"}, {.group = "green"}, {}};
  Check(Settings(), {{reals[0], kUp, 1}, {reals[1], kUp, 0}, {reals[2], kUp, 1}}, {}, "blue");
  Check(Settings(), {{reals[0], kUp, 0}, {reals[1], kUp, 1}, {reals[2], kUp, 1}}, {}, "green");
  Check(Settings(), {{reals[0], kUp, 0}, {reals[1], kUp, 0}, {reals[2], kUp, 1}}, {}, "");
  // The other group's health is nobody's panic.
  Check(Settings(), {{reals[0], kUp, 1}, {reals[1], kDown, 0, false}, {reals[2], kUp, 1}}, {}, "blue");
}

TEST_CASE("A canary gets its part of all new flows, whatever the others' weights") {
  const auto canary = [](uint32_t tenths) { return Real{.weight = 65535, .canary_tenths = tenths}; };
  Check(Settings(), {{{.weight = 10}, kUp, 999 * 10}, {{.weight = 20}, kUp, 999 * 20}, {canary(1), kUp, 30}}, {});
  Check(Settings(), {{{.weight = 3}, kUp, 500 * 3}, {{.weight = 1}, kUp, 500}, {canary(500), kUp, 2000}}, {});
  Check(Settings(), {{{}, kUp, 850}, {canary(50), kUp, 50}, {canary(100), kUp, 100}}, {});
  // One that is down leaves its part to the others; alone, canaries share by their parts.
  Check(Settings(), {{{}, kUp, 950}, {canary(50), kUp, 50}, {canary(100), kDown, 0, false}}, {});
  Check(Settings(), {{{.state = RealState::kDrain}, kUp, 0}, {canary(50), kUp, 1}, {canary(100), kUp, 2}}, {});
  // It is a part of the flows, not of the capacity: no percentage counts it beside others.
  Check(Settings(), {{{}, kDown, 900}, {canary(100), kUp, 100}}, {VipMode::kPanicOpen, 0});
}

TEST_CASE("A canary of 0.1 per cent owns that share of the ring's slots, to within one slot") {
  for (const uint32_t tenths : {1u, 5u, 10u, 137u, 500u}) {
    CAPTURE(tenths);
    std::vector<Row> rows(17, Row{{.weight = 65535}, kUp, 0});
    for (size_t i = 0; i < rows.size(); ++i) rows[i].real.weight -= static_cast<uint32_t>(i * 1013);
    rows.push_back({{.canary_tenths = tenths}, kUp, 0});
    const VipWeights weights = Weigh(Settings(), rows);
    std::map<uint16_t, RealEntry> reals;
    std::vector<uint16_t> indices;
    for (size_t i = 0; i < rows.size(); ++i) {
      indices.push_back(static_cast<uint16_t>(i + 1));
      reals[indices.back()].address = Nth(i);
    }
    const auto ring = MakeRing(MembersOf(weights.reals, indices), reals, 65537).value();
    const auto slots = static_cast<double>(std::ranges::count(ring, indices.back()));
    CHECK(std::abs(slots - tenths * 65.537) < 1.01);
  }
}

TEST_CASE("Weights fit a ring however many reals and canaries there are") {
  std::vector<Row> rows(kMaxRealsPerVip, Row{{.weight = kMaxWeight}, kUp, 0});
  rows[0].real.canary_tenths = 500;
  rows[1].real.canary_tenths = 400;
  rows[2].real.weight = 1;
  const VipWeights weights = Weigh(Settings(), rows);
  uint64_t sum = 0;
  for (const RealWeight& real : weights.reals) sum += real.weight;
  CHECK(weights.reals[0].weight <= kMaxWeight * kWholeClimb);
  CHECK(static_cast<double>(weights.reals[0].weight) / static_cast<double>(sum) == Approx(0.5).epsilon(0.01));
  CHECK(weights.reals[2].weight > 0);
}

TEST_CASE("Reals of one VIP and the defaults' check are weighed by the VIP's own settings") {
  DesiredState state = WithReals(Key("203.0.113.10:443/tcp"), 2);
  state.defaults.panic_action = PanicAction::kFailClosed;
  Vip& vip = state.vips.begin()->second;
  vip.health = HealthCheck{.kind = CheckKind::kTcp};
  vip.panic_percent = 100;
  const Liveness liveness = {{state.vips.begin()->first, {{Address("10.0.0.1"), kUp}, {Address("10.0.0.2"), kDown}}}};
  CHECK(WeighVips(state, liveness, {}, At(0)).begin()->second.mode == VipMode::kPanicClosed);
  vip.panic_action = PanicAction::kWithdraw;
  CHECK(WeighVips(state, liveness, {}, At(0)).begin()->second.mode == VipMode::kWithdrawn);
  vip.panic_percent = 50;
  CHECK(WeighVips(state, liveness, {}, At(0)).begin()->second.mode == VipMode::kNormal);
}

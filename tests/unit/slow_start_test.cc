// SPDX-License-Identifier: Apache-2.0
// Slow start: who climbs, the curve, and how few slots each step moves.
#include "userspace/control/slow_start.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/unit/control_testing.h"
#include "userspace/control/rings.h"
#include "userspace/control/weights.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::milliseconds;

const VipKey kVip = Key("203.0.113.10:443/tcp");
const IpAddress kFirst = Address("10.0.0.1");
const IpAddress kSecond = Address("10.0.0.2");
const IpAddress kThird = Address("10.0.0.3");

SteadyTime At(double seconds) { return SteadyTime() + milliseconds(static_cast<int64_t>(seconds * 1000)); }

VipSettings Settings(uint32_t seconds = 30, double exponent = 1) {
  VipSettings settings;
  settings.slow_start_seconds = seconds;
  settings.slow_start_exponent = exponent;
  return settings;
}

using HealthByReal = std::map<IpAddress, Health>;

Vip VipOf(int count) { return WithReals(kVip, count).vips.at(kVip); }

constexpr Health kUp = Health::kUp;
constexpr Health kDown = Health::kDown;

}  // namespace

TEST_CASE("A climb begins at 1 per cent, follows its curve in twenty steps and ends at the whole") {
  for (const double exponent : {1.0, 0.5, 3.0}) {
    CAPTURE(exponent);
    const VipSettings settings = Settings(30, exponent);
    SteadyTime at = At(100);
    for (int step = 0; step < 20; ++step) {
      const ClimbStep climb = ClimbAt(settings, At(100), at);
      const double expected = 0.01 + 0.99 * std::pow(step / 20.0, exponent);
      CHECK(climb.factor == Approx(expected * kWholeClimb).margin(0.51));
      CHECK_FALSE(climb.ended());
      CHECK(climb.next_at == At(100 + 1.5 * (step + 1)));
      CHECK(ClimbAt(settings, At(100), climb.next_at - milliseconds(1)).factor == climb.factor);
      at = climb.next_at;
    }
    CHECK(ClimbAt(settings, At(100), at).ended());
    CHECK(ClimbAt(settings, At(100), at).next_at == SteadyTime::max());
  }
}

TEST_CASE("Reals that are new, come up or are drained no longer climb, and no others") {
  const Vip three = VipOf(3);
  const auto next = [&](const VipMoment& before, const VipMoment& after) {
    return NextClimbsOf(Settings(), before, after, {}, At(5));
  };
  const HealthByReal unchecked;
  const HealthByReal all_up = {{kFirst, kUp}, {kSecond, kUp}, {kThird, kUp}};
  CHECK(next({VipOf(2), unchecked}, {three, unchecked}) == RealClimbs{{kThird, At(5)}});
  CHECK(next({three, {{kFirst, kUp}, {kSecond, kDown}, {kThird, Health::kUnknown}}}, {three, all_up}) ==
        RealClimbs{{kSecond, At(5)}, {kThird, At(5)}});
  Vip drained = three;
  drained.reals[kFirst].state = RealState::kDrain;
  CHECK(next({drained, all_up}, {three, all_up}) == RealClimbs{{kFirst, At(5)}});
  CHECK(next({three, all_up}, {drained, all_up}).empty());

  CHECK(next({VipOf(2), {{kFirst, kUp}, {kSecond, kUp}}},
             {three, {{kFirst, kUp}, {kSecond, kUp}, {kThird, Health::kUnknown}}})
            .empty());
  Vip weightless = three;
  weightless.reals[kSecond].weight = 0;
  CHECK(next({weightless, all_up}, {three, all_up}).empty());
  Vip grouped = three;
  grouped.reals[kSecond].group = "green";
  Vip switched = grouped;
  switched.active_group = "green";
  CHECK(next({grouped, all_up}, {switched, all_up}).empty());
  // In panic they had their whole weight already.
  const HealthByReal one_down = {{kFirst, kUp}, {kSecond, kDown}, {kThird, kUp}};
  CHECK(next({three, one_down, true}, {three, all_up}).empty());
}

TEST_CASE("A climb goes on until its time is up, the real goes down or drains, or slow start is switched off") {
  const Vip vip = VipOf(2);
  const HealthByReal up = {{kFirst, kUp}, {kSecond, kUp}};
  const RealClimbs climbs = {{kFirst, At(5)}};
  const auto next = [&](const VipSettings& settings, const VipMoment& after, double at) {
    return NextClimbsOf(settings, {vip, up}, after, climbs, At(at));
  };
  CHECK(next(Settings(), {vip, up}, 34.9) == climbs);
  CHECK(next(Settings(), {vip, up}, 35).empty());
  CHECK(next(Settings(), {vip, {{kFirst, kDown}, {kSecond, kUp}}}, 10).empty());
  CHECK(next(Settings(0), {vip, up}, 10).empty());
  Vip drained = vip;
  drained.reals[kFirst].state = RealState::kDrain;
  CHECK(next(Settings(), {drained, up}, 10).empty());
  CHECK(next(Settings(), {Vip{}, {}}, 10).empty());
}

TEST_CASE("Where nobody is at the top, reals climb together: the first is not left alone with the load") {
  const Vip vip = VipOf(3);
  const HealthByReal none = {{kFirst, kDown}, {kSecond, kDown}, {kThird, kDown}};
  const HealthByReal one = {{kFirst, kUp}, {kSecond, kDown}, {kThird, kDown}};
  const HealthByReal two = {{kFirst, kUp}, {kSecond, kUp}, {kThird, kDown}};
  const HealthByReal all = {{kFirst, kUp}, {kSecond, kUp}, {kThird, kUp}};
  RealClimbs climbs = NextClimbsOf(Settings(), {vip, none}, {vip, one}, {}, At(10));
  CHECK(climbs == RealClimbs{{kFirst, At(10)}});
  climbs = NextClimbsOf(Settings(), {vip, one}, {vip, two}, climbs, At(12));
  CHECK(climbs == RealClimbs{{kFirst, At(10)}, {kSecond, At(10)}});
  // Those two are at the top by now.
  climbs = NextClimbsOf(Settings(), {vip, two}, {vip, all}, climbs, At(41));
  CHECK(climbs == RealClimbs{{kThird, At(41)}});
}

TEST_CASE("A climbing real has its share of the others' weight, and weights say when they will be others") {
  const Vip vip = VipOf(2);
  const VipWeights weights = WeighVip(Settings(), vip, {{kFirst, kUp}, {kSecond, kUp}}, {{kSecond, At(0)}}, At(15.2));
  CHECK(weights.reals[0].weight == 10 * kWholeClimb);
  CHECK(weights.reals[0].climb_percent == 100);
  CHECK(weights.reals[1].weight == 50500);
  CHECK(weights.reals[1].climb_percent == 51);
  CHECK(weights.climbs_on_at == At(16.5));
  // Percentages are of whole weights.
  CHECK(weights.healthy_percent == 100);
}

TEST_CASE("Each step of a climb moves few slots beyond what its share demands, and the climb ends at the whole ring") {
  constexpr uint32_t kSlots = 65537;
  for (const double exponent : {1.0, 2.0}) {
    for (const int count : {2, 10, 100}) {
      CAPTURE(exponent, count);
      const Vip vip = VipOf(count);
      std::map<uint16_t, RealEntry> reals;
      std::vector<uint16_t> indices;
      for (const auto& [address, real] : vip.reals) {
        indices.push_back(static_cast<uint16_t>(indices.size() + 1));
        reals[indices.back()].address = address;
      }
      const auto ring_at = [&](double at) {
        const VipWeights weights =
            WeighVip(Settings(30, exponent), vip, {}, {{vip.reals.begin()->first, At(0)}}, At(at));
        return MakeRing(MembersOf(weights.reals, indices), reals, kSlots).value();
      };
      std::vector<uint16_t> before = ring_at(0);
      CHECK(std::ranges::count(before, 1) <= kSlots / 100);
      for (int step = 1; step <= 20; ++step) {
        CAPTURE(step);
        const std::vector<uint16_t> after = ring_at(1.5 * step);
        const auto grown = std::ranges::count(after, 1) - std::ranges::count(before, 1);
        int64_t moved = 0;
        for (size_t slot = 0; slot < kSlots; ++slot) moved += before[slot] != after[slot] ? 1 : 0;
        CHECK(grown >= 0);
        CHECK(moved - grown <= kSlots / 100);
        // No step is more than a tenth of what the real has in the end.
        CHECK(grown <= kSlots / count / (exponent > 1 ? 9 : 10) + 1);
        before = after;
      }
      CHECK(before == ring_at(1000));
      CHECK(std::ranges::count(before, 1) >= kSlots / count);
    }
  }
}

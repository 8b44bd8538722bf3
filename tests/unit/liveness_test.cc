// SPDX-License-Identifier: Apache-2.0
// What is known of the reals' health through changes of the desired state.
#include "userspace/control/liveness.h"

#include <catch2/catch.hpp>

#include "tests/unit/control_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

const VipKey kVip = Key("203.0.113.10:443/tcp");
const IpAddress kFirst = Address("10.0.0.1");
const IpAddress kSecond = Address("10.0.0.2");
const IpAddress kThird = Address("10.0.0.3");

DesiredState Checked(int count, bool initially_up = false) {
  DesiredState state = WithReals(kVip, count);
  state.vips[kVip].health = HealthCheck{.kind = CheckKind::kTcp, .initially_up = initially_up};
  return state;
}

}  // namespace

TEST_CASE("Reals of a VIP without a check are in no liveness, and count as unchecked") {
  const DesiredState state = WithReals(kVip, 2);
  CHECK(CarryLiveness({}, {}, state).empty());
  CHECK(HealthOf({}, kVip, kFirst) == Health::kUnchecked);
  CHECK(IsHealthy(Health::kUnchecked));
}

TEST_CASE("A new real is unknown, or up if its check says so, be the VIP new or not") {
  CHECK(CarryLiveness({}, {}, Checked(1)) == Liveness{{kVip, {{kFirst, Health::kUnknown}}}});
  CHECK(CarryLiveness({}, {}, Checked(1, true)) == Liveness{{kVip, {{kFirst, Health::kUp}}}});
  const Liveness before = {{kVip, {{kFirst, Health::kDown}}}};
  const Liveness after = CarryLiveness(Checked(1), before, Checked(2));
  CHECK(after == Liveness{{kVip, {{kFirst, Health::kDown}, {kSecond, Health::kUnknown}}}});
}

TEST_CASE("A real that is known keeps its health, though its check becomes another one") {
  const Liveness known = {{kVip, {{kFirst, Health::kUp}, {kSecond, Health::kDown}, {kThird, Health::kUnknown}}}};
  DesiredState other = Checked(3, true);
  other.vips[kVip].health->kind = CheckKind::kHttp;
  CHECK(CarryLiveness(Checked(3), known, other) == known);
}

TEST_CASE("A real that served unchecked is up until it is judged, also by the defaults' check") {
  DesiredState checked = WithReals(kVip, 2);
  checked.defaults.health.kind = CheckKind::kTcp;
  const Liveness after = CarryLiveness(WithReals(kVip, 1), {}, checked);
  CHECK(after == Liveness{{kVip, {{kFirst, Health::kUp}, {kSecond, Health::kUnknown}}}});
}

TEST_CASE("Reals, VIPs and checks that go take their health along") {
  const Liveness known = {{kVip, {{kFirst, Health::kUp}, {kSecond, Health::kDown}}}};
  CHECK(CarryLiveness(Checked(2), known, Checked(1)) == Liveness{{kVip, {{kFirst, Health::kUp}}}});
  CHECK(CarryLiveness(Checked(2), known, SmallState()).empty());
  CHECK(CarryLiveness(Checked(2), known, WithReals(kVip, 2)).empty());
}

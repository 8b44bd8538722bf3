// SPDX-License-Identifier: Apache-2.0
// The API's edits of checks, of settings about health, and of the roles of reals.
#include <catch2/catch.hpp>

#include "userspace/rpc/edit.h"

namespace shunt {
namespace {

const VipKey kWeb = *VipKey::Parse("203.0.113.10:443/tcp");
const IpAddress kReal = *IpAddress::Parse("10.0.0.11");

v1::Vip Named() {
  v1::Vip vip;
  vip.set_vip(kWeb.ToString());
  return vip;
}

v1::RealRequest NamedReal() {
  v1::RealRequest request;
  request.set_vip(kWeb.ToString());
  request.mutable_real()->set_address(kReal.ToString());
  return request;
}

DesiredState OneVip() {
  DesiredState state;
  state.vips[kWeb].reals[kReal] = {};
  return state;
}

TEST_CASE("A VIP's own check keeps what a request does not name", "[rpc]") {
  DesiredState state = OneVip();
  Vip& vip = state.vips[kWeb];
  vip.health = HealthCheck{.kind = CheckKind::kHttp, .interval_ms = 500, .timeout_ms = 300, .path = "/health"};
  v1::Vip change = Named();
  change.mutable_health()->set_rise(5);
  change.mutable_health()->set_path("/ready");
  REQUIRE(SetVip(state, change));
  REQUIRE(vip.health ==
          HealthCheck{.kind = CheckKind::kHttp, .interval_ms = 500, .timeout_ms = 300, .rise = 5, .path = "/ready"});
  change = Named();
  change.set_panic_percent(10);  // no check in it
  REQUIRE(SetVip(state, change));
  REQUIRE(vip.health->rise == 5);
  change.mutable_health()->set_kind(v1::CHECK_KIND_TCP);
  REQUIRE(SetVip(state, change));
  REQUIRE(vip.health == HealthCheck{.kind = CheckKind::kTcp, .interval_ms = 500, .timeout_ms = 300, .rise = 5});
}

TEST_CASE("A VIP without a check of its own gets the one of the defaults with the change", "[rpc]") {
  DesiredState state = OneVip();
  state.defaults.health = {.kind = CheckKind::kTcp, .interval_ms = 500, .timeout_ms = 300};
  v1::Vip change = Named();
  change.mutable_health()->set_fall(1);
  REQUIRE(SetVip(state, change));
  HealthCheck expected = state.defaults.health;
  expected.fall = 1;
  REQUIRE(state.vips[kWeb].health == expected);
  REQUIRE(state.defaults.health.fall == 3);

  change.mutable_health()->set_kind(v1::CHECK_KIND_UNSPECIFIED);  // the defaults' again, and no settings with it
  REQUIRE(SetVip(state, change).error().kind == ErrorKind::kInvalid);
  REQUIRE(state.vips[kWeb].health == expected);
  change.mutable_health()->clear_fall();
  REQUIRE(SetVip(state, change));
  REQUIRE_FALSE(state.vips[kWeb].health);

  state.vips.clear();
  REQUIRE(AddVip(state, change));  // "the defaults' check" of a new VIP is no check of its own
  REQUIRE_FALSE(state.vips[kWeb].health);
}

TEST_CASE("A check that is wrong in form changes nothing, and is told with its field", "[rpc]") {
  DesiredState state = OneVip();
  const DesiredState before = state;
  v1::Vip change = Named();
  change.set_panic_percent(10);
  change.mutable_health()->set_kind(v1::CHECK_KIND_HTTP);
  change.mutable_health()->set_status("2xx");
  const Status status = SetVip(state, change);
  REQUIRE_FALSE(status);
  REQUIRE(status.error().message.starts_with("health.status: \"2xx\""));
  REQUIRE(state == before);
  state.vips[kWeb].health = HealthCheck{.kind = CheckKind::kExec, .via = ProbeVia::kDirect, .command = {"/bin/true"}};
  change = Named();
  change.set_panic_percent(10);
  change.mutable_health()->set_via(v1::PROBE_VIA_TUNNEL);  // wrong only for the check that is there
  REQUIRE(SetVip(state, change).error().message.starts_with("health.via: "));
  REQUIRE_FALSE(state.vips[kWeb].panic_percent);
}

TEST_CASE("Settings about health change only where they are present", "[rpc]") {
  DesiredState state = OneVip();
  v1::Vip change = Named();
  change.set_panic_percent(0);
  change.set_panic_action(v1::PANIC_ACTION_WITHDRAW);
  change.set_slow_start_seconds(0);
  change.set_slow_start_exponent(2.5);
  change.set_backup_below_percent(10);
  change.set_ring_changes_per_second(5);
  change.set_active_group("green");
  REQUIRE(SetVip(state, change));
  const Vip& vip = state.vips[kWeb];
  REQUIRE(vip.panic_percent == 0u);
  REQUIRE(vip.panic_action == PanicAction::kWithdraw);
  REQUIRE(vip.slow_start_seconds == 0u);
  REQUIRE(vip.slow_start_exponent == 2.5);
  REQUIRE(vip.backup_below_percent == 10u);
  REQUIRE(vip.ring_changes_per_second == 5u);
  REQUIRE(vip.active_group == "green");
  const Vip before = vip;
  REQUIRE(SetVip(state, Named()));
  REQUIRE(vip == before);
  change = Named();
  change.set_active_group("");
  REQUIRE(SetVip(state, change));
  REQUIRE(vip.active_group.empty());
}

TEST_CASE("A real's role changes only where it is present, and 0 and empty take it away", "[rpc]") {
  DesiredState state = OneVip();
  const Real& real = state.vips[kWeb].reals[kReal];
  v1::RealRequest request = NamedReal();
  request.mutable_real()->set_backup(true);
  request.mutable_real()->set_canary_percent(0.5);
  request.mutable_real()->set_group("green");
  REQUIRE(SetReal(state, request));
  REQUIRE(real == Real{.backup = true, .canary_tenths = 5, .group = "green"});
  REQUIRE(SetReal(state, NamedReal()));
  REQUIRE(real == Real{.backup = true, .canary_tenths = 5, .group = "green"});
  request.mutable_real()->set_backup(false);
  request.mutable_real()->set_canary_percent(0);
  request.mutable_real()->set_group("");
  REQUIRE(SetReal(state, request));
  REQUIRE(real == Real{});
  request.mutable_real()->set_canary_percent(0.25);
  REQUIRE(SetReal(state, request).error().message.starts_with("canary_percent: 0.25 is no share"));
  REQUIRE(real == Real{});
}

TEST_CASE("A drain keeps its timeout until the real is active again", "[rpc]") {
  DesiredState state = OneVip();
  const Real& real = state.vips[kWeb].reals[kReal];
  v1::RealRequest request = NamedReal();
  request.mutable_real()->set_state(v1::REAL_STATE_DRAIN);
  request.mutable_real()->set_drain_seconds(300);
  REQUIRE(SetReal(state, request));
  REQUIRE(real == Real{.state = RealState::kDrain, .drain_seconds = 300});
  request.mutable_real()->clear_drain_seconds();
  REQUIRE(SetReal(state, request));
  REQUIRE(real.drain_seconds == 300u);
  request.mutable_real()->set_state(v1::REAL_STATE_ACTIVE);
  REQUIRE(SetReal(state, request));
  REQUIRE(real == Real{});
}

}  // namespace
}  // namespace shunt

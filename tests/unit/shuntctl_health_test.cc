// SPDX-License-Identifier: Apache-2.0
// What shuntctl shows of health and events, letter by letter, and the keys of its JSON.
#include <catch2/catch.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/health_format.h"
#include "tools/shuntctl/json.h"

namespace shunt::ctl {
namespace {

constexpr UnixTime kNow{1700000100000};

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

v1::RealHealth& AddReal(v1::VipHealth& vip, const char* address, const char* health) {
  v1::RealHealth& real = *vip.add_reals();
  real.set_address(address);
  real.set_health(health);
  return real;
}

// Up, down, on its way up, and not probed yet.
v1::HealthState SmallHealth() {
  v1::HealthState state;
  v1::VipHealth& web = *state.add_vips();
  web.set_vip("203.0.113.10:443/tcp");
  web.set_mode("normal");
  web.set_healthy_percent(33.4);
  v1::HealthCheck& check = *web.mutable_check();
  check.set_kind(v1::CHECK_KIND_HTTP);
  check.set_path("/healthz");
  check.set_interval_ms(2000);
  check.set_rise(2);
  v1::RealHealth& up = AddReal(web, "10.0.0.11", "up");
  up.set_since_ms(1699999800000);
  up.set_checked_at_ms(1700000099500);
  up.set_last_passed(true);
  up.set_last_cause("status 503, expected 200-399");  // long ago
  up.set_in_row(150);
  up.set_latency_p50_us(420);
  up.set_latency_p99_us(12345);
  v1::RealHealth& down = AddReal(web, "10.0.0.12", "down");
  down.set_since_ms(1700000088000);
  down.set_checked_at_ms(1700000098000);
  down.set_last_cause("connect: Connection refused\n");
  down.set_in_row(6);
  v1::RealHealth& rising = AddReal(web, "10.0.0.13", "down");
  rising.set_since_ms(1700000040000);
  rising.set_checked_at_ms(1700000099000);
  rising.set_last_passed(true);
  rising.set_in_row(1);
  rising.set_rise_needed(4);
  AddReal(web, "10.0.0.14", "unknown");
  return state;
}

TEST_CASE("health shows each real's judgement, since when, its last probe and why that failed", "[shuntctl]") {
  CHECK(FormatHealth(SmallHealth(), kNow, false) ==
        R"(203.0.113.10:443/tcp  1 of 3 healthy (33 % of the weight), 1 not judged yet; http GET /healthz every 2 s
  REAL       HEALTH   SINCE  LAST PROBE      IN ROW      P50      P99  CAUSE
  10.0.0.11  up       5 min  passed 0 s ago     150  0.42 ms  12.3 ms
  10.0.0.12  down      12 s  failed 2 s ago       6        -        -  connect: Connection refused
  10.0.0.13  down     1 min  passed 1 s ago  1 of 4        -        -
  10.0.0.14  unknown      -  none yet             -        -        -
)");
}

TEST_CASE("A real that went down a moment after its last report is not told to be on its way up", "[shuntctl]") {
  v1::HealthState state = SmallHealth();
  state.mutable_vips(0)->mutable_reals(2)->set_in_row(181);
  CHECK(Contains(FormatHealth(state, kNow, false), "  passed 1 s ago     181  "));
}

TEST_CASE("A VIP in panic is told in red, with what that means", "[shuntctl]") {
  v1::HealthState state = SmallHealth();
  v1::VipHealth& web = *state.mutable_vips(0);
  web.set_mode("panic_open");
  CHECK(Contains(FormatHealth(state, kNow, true), "\033[31mPANIC: 1 of 3 healthy, all used\033[0m"));
  web.set_mode("panic_closed");
  CHECK(Contains(FormatHealth(state, kNow, false), "  PANIC: 1 of 3 healthy, only these used;"));
  web.set_mode("withdrawn");
  CHECK(Contains(FormatHealth(state, kNow, false), "  PANIC: 1 of 3 healthy, only these used, VIP withdrawn;"));
}

TEST_CASE("A check is one phrase", "[shuntctl]") {
  v1::HealthCheck check;
  check.set_interval_ms(500);
  check.set_kind(v1::CHECK_KIND_TCP);
  CHECK(CheckPhrase(check) == "tcp every 500 ms");
  check.set_port(8080);
  check.set_via(v1::PROBE_VIA_DIRECT);
  CHECK(CheckPhrase(check) == "tcp, port 8080, every 500 ms, not through the tunnel");
  check = {};
  check.set_interval_ms(90000);
  check.set_kind(v1::CHECK_KIND_HTTP2);
  check.set_method("HEAD");
  CHECK(CheckPhrase(check) == "http2 HEAD / every 1 min 30 s");
  check.set_kind(v1::CHECK_KIND_GRPC);
  check.set_grpc_service("shop.Cart");
  CHECK(CheckPhrase(check) == "grpc shop.Cart every 1 min 30 s");
  check.set_kind(v1::CHECK_KIND_DNS);
  CHECK(CheckPhrase(check) == "dns . every 1 min 30 s");
  check.set_kind(v1::CHECK_KIND_EXEC);
  check.add_command("/usr/bin/true");
  CHECK(CheckPhrase(check) == "exec /usr/bin/true every 1 min 30 s");
}

TEST_CASE("An event is one line with its time in UTC, whatever stands in its cause", "[shuntctl]") {
  v1::Event event;
  event.set_id(7);
  event.set_at_ms(1700000000005);
  event.set_kind("real_down");
  event.set_vip("203.0.113.10:443/tcp");
  event.set_real("10.0.0.11");
  event.set_cause("3 probes failed: answer \"x\n\033[2J\"");
  CHECK(FormatEvent(event, false) ==
        "2023-11-14T22:13:20.005Z  real_down 203.0.113.10:443/tcp 10.0.0.11: 3 probes failed: answer \"x  [2J\"\n");
  CHECK(Contains(FormatEvent(event, true), "\033[31mreal_down\033[0m"));
  CHECK(ToJson(event) == Json::parse(R"({"id": 7, "at_ms": 1700000000005, "kind": "real_down",
      "vip": "203.0.113.10:443/tcp", "real": "10.0.0.11", "cause": "3 probes failed: answer \"x\n\u001b[2J\"", "interface": null})"));
  event.clear_real();
  event.set_kind("panic_entered");
  event.set_cause("why");
  CHECK(FormatEvent(event, false) == "2023-11-14T22:13:20.005Z  panic_entered 203.0.113.10:443/tcp: why\n");
  CHECK(ToJson(event).at("real").is_null());
  event.clear_vip();
  event.set_kind("interface_gone");
  event.set_interface("eth1");
  CHECK(FormatEvent(event, false) == "2023-11-14T22:13:20.005Z  interface_gone eth1: why\n");
  CHECK(ToJson(event).at("interface") == "eth1");
  CHECK(ToLine(ToJson(event)).find('\n') == ToLine(ToJson(event)).size() - 1);
}

TEST_CASE("The JSON of health has its documented keys, null for what is not known", "[shuntctl]") {
  v1::HealthState state = SmallHealth();
  state.mutable_totals()->set_late_p99_us(900);
  const Json json = ToJson(state);
  const Json& web = json.at("vips").at(0);
  CHECK(web.at("check").at("kind") == "http");
  CHECK(web.at("check").at("port").is_null());
  CHECK(web.at("check").at("via") == "tunnel");
  CHECK(web.at("check").at("phrase") == "http GET /healthz every 2 s");
  CHECK(web.at("mode") == "normal");
  CHECK(web.at("reals").at(0).at("since_ms") == 1699999800000);
  CHECK(web.at("reals").at(0).at("last_passed") == true);
  CHECK(web.at("reals").at(0).at("latency_us").at("p99") == 12345);
  CHECK(web.at("reals").at(2).at("rise_needed") == 4);
  CHECK(web.at("reals").at(3).at("since_ms").is_null());
  CHECK(web.at("reals").at(3).at("last_passed").is_null());
  CHECK(web.at("reals").at(3).at("last_cause").is_null());
  CHECK(json.at("probes").at("late_us").at("p99") == 900);
}

// ---- health among what is shown of VIPs and reals

// Four reals of one checked VIP: up, down, climbing, and a canary that drains.
v1::State SmallState() {
  v1::State state;
  v1::VipState& web = *state.add_vips();
  web.set_vip("203.0.113.10:443/tcp");
  web.set_ring_size(100);
  web.set_outer_ttl(64);
  web.set_tcp_settle_seconds(600);
  web.set_check("tcp");
  web.set_mode("normal");
  web.set_healthy_percent(66.7);
  web.set_active_group("blue");
  for (const char* address : {"10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"}) {
    v1::RealStatus& real = *web.add_reals();
    real.set_address(address);
    real.set_weight(10);
    real.set_next_hop("02:00:00:00:00:01 dev eth0");
    real.set_health("up");
  }
  web.mutable_reals(0)->set_group("blue");
  web.mutable_reals(0)->set_slots(60);
  web.mutable_reals(1)->set_health("down");
  web.mutable_reals(1)->set_backup(true);
  web.mutable_reals(2)->set_climb_percent(40);
  web.mutable_reals(2)->set_slots(40);
  web.mutable_reals(3)->set_state(v1::REAL_STATE_DRAIN);
  web.mutable_reals(3)->set_drain_seconds(300);
  web.mutable_reals(3)->set_canary_percent(0.5);
  return state;
}

TEST_CASE("The overview has a line for a VIP that is not all well, and the health of each real", "[shuntctl]") {
  CHECK(FormatOverview(SmallState(), false) ==
        R"(203.0.113.10:443/tcp  tracking moving, 100 slots, outer TTL 64; 0 packets, 0 bytes
  2 of 3 healthy (67 % of the weight)
  REAL       WEIGHT  STATE                        HEALTH   SHARE  PACKETS  BYTES  NEW FLOWS  NEXT HOP
  10.0.0.11      10  active, group blue           up      60.0 %        0      0          -  02:00:00:00:00:01 dev eth0
  10.0.0.12      10  active, backup               down     0.0 %        0      0          -  02:00:00:00:00:01 dev eth0
  10.0.0.13      10  active, climbs: 40 %         up      40.0 %        0      0          -  02:00:00:00:00:01 dev eth0
  10.0.0.14      10  drain ≤ 5 min, canary 0.5 %  up       0.0 %        0      0          -  02:00:00:00:00:01 dev eth0
)");
  v1::State state = SmallState();
  state.mutable_vips(0)->mutable_reals(1)->set_health("up");
  CHECK_FALSE(Contains(FormatOverview(state, false), "healthy"));
  state.mutable_vips(0)->set_backups_used(true);
  CHECK(Contains(FormatOverview(state, false), "\n  3 of 3 healthy (67 % of the weight), backups used\n"));
  state.mutable_vips(0)->set_mode("panic_open");
  state.mutable_vips(0)->mutable_reals(0)->set_health("down");
  CHECK(Contains(FormatOverview(state, true), "\n  \033[31mPANIC: 2 of 3 healthy, all used\033[0m\n"));
}

TEST_CASE("vip show tells health, check and active group, and the lists tell health in a column", "[shuntctl]") {
  const v1::State state = SmallState();
  const std::string shown = FormatVip(state.vips(0), false);
  CHECK(Contains(shown, "\n  health      2 of 3 healthy (67 % of the weight); tcp\n"));
  CHECK(Contains(shown, "\n  group       blue takes new flows\n"));
  CHECK(FormatVipList(state, false) ==
        "VIP                   TRACKING  RING SIZE  OUTER TTL  REALS  HEALTHY  PACKETS  BYTES  NEW FLOWS\n"
        "203.0.113.10:443/tcp  moving          100         64      4   2 of 3        0      0          -\n");
  CHECK(Contains(FormatRealList(state, false), "HEALTH"));
  CHECK(Contains(FormatRealList(state, false), "active, backup               down"));
  v1::State in_panic = state;
  in_panic.mutable_vips(0)->set_mode("panic_closed");
  CHECK(Contains(FormatVipList(in_panic, true), "\033[31mPANIC 2 of 3\033[0m"));
  v1::State unchecked = state;
  unchecked.mutable_vips(0)->set_check("none");
  CHECK_FALSE(Contains(FormatVip(unchecked.vips(0), false), "health"));
  CHECK(Contains(FormatVipList(unchecked, false), "      4        -  "));
}

TEST_CASE("The JSON of VIPs and reals tells mode, health and what decides about new flows", "[shuntctl]") {
  const Json web = ToJson(SmallState().vips(0));
  CHECK(web.at("check") == "tcp");
  CHECK(web.at("mode") == "normal");
  CHECK(web.at("healthy_percent") == 66.7);
  CHECK(web.at("backups_used") == false);
  CHECK(web.at("active_group") == "blue");
  const Json& reals = web.at("reals");
  CHECK(reals.at(0).at("group") == "blue");
  CHECK(reals.at(0).at("climb_percent").is_null());
  CHECK(reals.at(1).at("health") == "down");
  CHECK(reals.at(1).at("backup") == true);
  CHECK(reals.at(1).at("group").is_null());
  CHECK(reals.at(2).at("climb_percent") == 40);
  CHECK(reals.at(3).at("canary_percent") == 0.5);
  CHECK(reals.at(3).at("drain_seconds") == 300);
}

}  // namespace
}  // namespace shunt::ctl

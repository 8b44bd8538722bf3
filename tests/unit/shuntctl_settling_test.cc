// SPDX-License-Identifier: Apache-2.0
// What shuntctl shows of slots that move and of flows, letter by letter, and the keys of its JSON.
#include <catch2/catch.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/settling.h"

namespace shunt::ctl {
namespace {

// A TCP VIP in the middle of a change, and a plain UDP one that has settled.
v1::State MovingState() {
  v1::State state;
  v1::VipState& web = *state.add_vips();
  web.set_vip("203.0.113.10:443/tcp");
  web.set_tracking(v1::TRACKING_MOVING);
  web.set_ring_size(65537);
  web.set_outer_ttl(64);
  web.set_udp_idle_seconds(60);
  web.set_tcp_settle_seconds(600);
  v1::Settling& settling = *web.mutable_settling();
  settling.set_stable_slots(60000);
  settling.set_moving_slots(5000);
  settling.set_slots_with_exceptions(537);
  settling.set_remembered_flows(1234);
  settling.set_refused_flows(7);
  settling.set_settles_in_seconds(580);
  web.mutable_traffic()->set_packets(1234);
  web.mutable_traffic()->set_bytes(98765);
  web.mutable_traffic()->set_new_flows(432);
  web.mutable_activity()->set_flows(4199.6);
  web.mutable_activity()->set_new_flows_per_second(0.25);
  v1::RealStatus& real = *web.add_reals();
  real.set_address("10.0.0.11");
  real.set_weight(10);
  real.set_state(v1::REAL_STATE_ACTIVE);
  real.set_slots(65537);
  real.set_next_hop("02:00:00:00:00:01 dev eth0");
  *real.mutable_traffic() = web.traffic();
  *real.mutable_activity() = web.activity();

  v1::VipState& dns = *state.add_vips();
  dns.set_vip("203.0.113.10:53/udp");
  dns.set_tracking(v1::TRACKING_MOVING);
  dns.set_ring_size(4099);
  dns.set_outer_ttl(64);
  dns.set_udp_idle_seconds(30);
  dns.mutable_settling()->set_stable_slots(4099);
  dns.mutable_traffic()->set_packets(10);
  dns.mutable_activity()->set_flows(3);
  dns.add_reals()->set_address("10.0.0.12");
  dns.mutable_reals(0)->set_next_hop("02:00:00:00:00:01 dev eth0");
  return state;
}

v1::Settling Moving(uint32_t moving, uint32_t exceptions, std::optional<uint64_t> settles_in_seconds) {
  v1::Settling settling;
  settling.set_stable_slots(13 - moving - exceptions);
  settling.set_moving_slots(moving);
  settling.set_slots_with_exceptions(exceptions);
  if (settles_in_seconds) settling.set_settles_in_seconds(*settles_in_seconds);
  return settling;
}

TEST_CASE("Durations are told in two units at most", "[shuntctl]") {
  CHECK(Duration(0) == "0 s");
  CHECK(Duration(59) == "59 s");
  CHECK(Duration(60) == "1 min");
  CHECK(Duration(580) == "9 min 40 s");
  CHECK(Duration(3600) == "1 h");
  CHECK(Duration(3959) == "1 h 5 min");
  CHECK(Duration(21600) == "6 h");
}

TEST_CASE("When a VIP settles is told in words, and so is what it waits for", "[shuntctl]") {
  CHECK(SettledWhen(Moving(0, 0, {})) == "settled");
  CHECK(SettledWhen(Moving(3, 0, 580)) == "in 9 min 40 s if nothing else changes");
  CHECK(SettledWhen(Moving(3, 2, 0)) == "at any moment");
  CHECK(SettledWhen(Moving(0, 2, {})) == "settled but for remembered flows of other reals");
  CHECK(SettledWhen(Moving(3, 0, {})) == "not before a real takes new flows");
}

TEST_CASE("vip show tells slots by state, when they settle, the flow table and the flows", "[shuntctl]") {
  CHECK(FormatVip(MovingState().vips(0), false) ==
        R"(203.0.113.10:443/tcp  tracking moving, 65,537 slots, outer TTL 64, TCP settle 600 s
  slots       60,000 stable, 5,000 moving, 537 settled with exceptions
  settled     in 9 min 40 s if nothing else changes
  flow table  1,234 flows remembered, 7 refused
  flows       ≈ 4,200, 0.2 new ones per second
  traffic     1,234 packets, 98,765 bytes, 432 new flows
  REAL       WEIGHT  STATE     SHARE  PACKETS   BYTES  NEW FLOWS  NEXT HOP
  10.0.0.11      10  active  100.0 %    1,234  98,765        432  02:00:00:00:00:01 dev eth0
)");
}

TEST_CASE("vip show of a plain UDP VIP says nothing of new flows, and shows the time that it is held to",
          "[shuntctl]") {
  CHECK(FormatVip(MovingState().vips(1), false) ==
        R"(203.0.113.10:53/udp  tracking moving, 4,099 slots, outer TTL 64, UDP idle 30 s
  slots       4,099 stable, 0 moving, 0 settled with exceptions
  settled     yes
  flow table  0 flows remembered, 0 refused
  flows       ≈ 3
  traffic     10 packets, 0 bytes
  REAL       WEIGHT  STATE   SHARE  PACKETS  BYTES  NEW FLOWS  NEXT HOP
  10.0.0.12       0  active  0.0 %        0      0          -  02:00:00:00:00:01 dev eth0
)");
}

TEST_CASE("vip show of a VIP that was not observed yet shows what is known", "[shuntctl]") {
  v1::VipState vip = MovingState().vips(1);
  vip.clear_settling();
  vip.clear_activity();
  vip.set_quic(true);
  const std::string text = FormatVip(vip, false);
  CHECK(text.starts_with("203.0.113.10:53/udp  tracking moving, 4,099 slots, outer TTL 64, QUIC, UDP idle 30 s\n"));
  CHECK(text.find("settled") == std::string::npos);
  CHECK(text.find("flow") == std::string::npos);
}

TEST_CASE("The overview has one line for a VIP that has not settled, and none for one that has", "[shuntctl]") {
  CHECK(FormatOverview(MovingState(), false) ==
        R"(203.0.113.10:443/tcp  tracking moving, 65,537 slots, outer TTL 64; 1,234 packets, 98,765 bytes, 432 new flows
  5,000 of 65,537 slots are moving; settled in 9 min 40 s if nothing else changes
  REAL       WEIGHT  STATE     SHARE  PACKETS   BYTES  NEW FLOWS  NEXT HOP
  10.0.0.11      10  active  100.0 %    1,234  98,765        432  02:00:00:00:00:01 dev eth0

203.0.113.10:53/udp  tracking moving, 4,099 slots, outer TTL 64; 10 packets, 0 bytes
  REAL       WEIGHT  STATE   SHARE  PACKETS  BYTES  NEW FLOWS  NEXT HOP
  10.0.0.12       0  active  0.0 %        0      0          -  02:00:00:00:00:01 dev eth0
)");
  CHECK(UnsettledLine(Moving(0, 2, {})) == "2 of 13 slots have exceptions: remembered flows of other reals");
}

TEST_CASE("stats shows the flows there are beside what was counted, and - for what nobody can tell", "[shuntctl]") {
  CHECK(FormatStats(MovingState(), false) ==
        R"(VIP                   REAL       ≈ FLOWS  NEW FLOWS/S  PACKETS   BYTES  NEW FLOWS
203.0.113.10:443/tcp               4,200          0.2    1,234  98,765        432
                      10.0.0.11    4,200          0.2    1,234  98,765        432
203.0.113.10:53/udp                    3            -       10       0          -
                      10.0.0.12        -            -        0       0          -
)");
}

TEST_CASE("stats --watch shows them too, and the rates between two samples", "[shuntctl]") {
  v1::State later = MovingState();
  later.mutable_vips(0)->mutable_traffic()->set_new_flows(452);
  later.mutable_vips(1)->mutable_traffic()->set_packets(30);
  CHECK(FormatRates(MovingState(), later, 2.0, false) ==
        R"(VIP                   REAL       ≈ FLOWS  PACKETS   BYTES  NEW FLOWS  PACKETS/S  BYTES/S  NEW FLOWS/S
203.0.113.10:443/tcp               4,200    1,234  98,765        452          0        0           10
                      10.0.0.11    4,200    1,234  98,765        432          0        0            0
203.0.113.10:53/udp                    3       30       0          -         10        0            -
                      10.0.0.12        -        0       0          -          0        0            -
)");
}

TEST_CASE("The JSON of a VIP has its settings, its slots by state and its flows, null for what is not known",
          "[shuntctl]") {
  const Json web = ToJson(MovingState().vips(0));
  CHECK(web.at("tracking") == "moving");
  CHECK(web.at("udp_idle_seconds") == 60);
  CHECK(web.at("tcp_settle_seconds") == 600);
  CHECK(web.at("quic") == false);
  CHECK(web.at("settling") == Json::parse(R"({"stable_slots": 60000, "moving_slots": 5000,
      "slots_with_exceptions": 537, "settles_in_seconds": 580, "remembered_flows": 1234, "refused_flows": 7})"));
  CHECK(web.at("flows") == 4199.6);
  CHECK(web.at("new_flows_per_second") == 0.25);
  CHECK(web.at("reals").at(0).at("flows") == 4199.6);

  const Json dns = ToJson(MovingState().vips(1));
  CHECK(dns.at("settling").at("settles_in_seconds").is_null());
  CHECK(dns.at("traffic").at("new_flows").is_null());
  CHECK(dns.at("flows") == 3);
  CHECK(dns.at("new_flows_per_second").is_null());
  CHECK(dns.at("reals").at(0).at("flows").is_null());

  v1::VipState early = MovingState().vips(1);
  early.clear_settling();
  CHECK(ToJson(early).at("settling").is_null());
}

TEST_CASE("The JSON of stats has flows and rates beside the counts", "[shuntctl]") {
  const Json web = StatsToJson(MovingState()).at("vips").at(0);
  CHECK(web.at("packets") == 1234);
  CHECK(web.at("flows") == 4199.6);
  CHECK(web.at("new_flows_per_second") == 0.25);
  CHECK(web.at("reals").at(0).at("flows") == 4199.6);
  const Json dns = StatsToJson(MovingState()).at("vips").at(1);
  CHECK(dns.at("new_flows").is_null());
  CHECK(dns.at("new_flows_per_second").is_null());

  v1::State later = MovingState();
  later.mutable_vips(0)->mutable_traffic()->set_new_flows(452);
  const Json rates = RatesToJson(MovingState(), later, 2.0);
  CHECK(rates.at("vips").at(0).at("new_flows_per_second") == 10.0);
  CHECK(rates.at("vips").at(0).at("flows") == 4199.6);
  CHECK(rates.at("vips").at(1).at("new_flows_per_second").is_null());
}

TEST_CASE("Remembered flows are told with how long they were silent", "[shuntctl]") {
  v1::Flows flows;
  v1::Flow& flow = *flows.add_flows();
  flow.set_source("198.51.100.7:40000");
  flow.set_destination("203.0.113.10:443/tcp");
  flow.set_real("10.0.0.11");
  flow.set_idle_seconds(75);
  CHECK(FormatFlows(flows, false) ==
        "SOURCE              DESTINATION           REAL             IDLE\n"
        "198.51.100.7:40000  203.0.113.10:443/tcp  10.0.0.11  1 min 15 s\n");
  CHECK(ToJson(flows).at("flows").at(0).at("idle_seconds") == 75);
}

}  // namespace
}  // namespace shunt::ctl

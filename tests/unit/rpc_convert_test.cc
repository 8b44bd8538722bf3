// SPDX-License-Identifier: Apache-2.0
// userspace/rpc without a server: errors, state and flows as messages; the edits.
#include <catch2/catch.hpp>

#include "userspace/dataplane/verdict.h"
#include "userspace/rpc/convert.h"
#include "userspace/rpc/edit.h"

namespace shunt {
namespace {

VipKey Vip1() { return *VipKey::Parse("203.0.113.10:443/tcp"); }
IpAddress Real1() { return *IpAddress::Parse("10.0.0.11"); }
IpAddress Real2() { return *IpAddress::Parse("10.0.0.12"); }

// One VIP of four slots: real 1 (index 2) has three and a next hop, real 2 (index 1) one and none.
Snapshot SmallSnapshot() {
  Snapshot snapshot;
  Vip& vip = snapshot.desired.vips[Vip1()];
  vip.tracking = Tracking::kNone;
  vip.reals[Real1()].weight = 30;
  vip.reals[Real2()].state = RealState::kDrain;
  PlannedVip& planned = snapshot.plan.vips[Vip1()];
  planned.entry.id = 7;
  planned.entry.real_base = 16;
  planned.entry.ring_slots = 4;
  planned.ring = std::make_shared<const Ring>(Ring{{2, 0}, {2, 0}, {1, 0}, {2, 0}});
  OuterHeader outer;
  outer.next_hop.interface_index = 1;
  outer.next_hop.gateway_mac = *MacAddress::Parse("02:00:00:00:00:01");
  planned.reals[2] = RealEntry{Real1(), outer};
  planned.reals[1] = RealEntry{Real2(), std::nullopt};
  snapshot.next_hops[Real2()].problem = "no route to 10.0.0.12";
  return snapshot;
}

Counters SmallCounters() {
  return {{Vip1(), {.vip = {30, 3000, 3}, .reals = {{1, {10, 1000, 1}}, {2, {20, 2000, 2}}}}}};
}

v1::RealRequest RealNamed(const char* vip, const char* address) {
  v1::RealRequest request;
  request.set_vip(vip);
  request.mutable_real()->set_address(address);
  return request;
}

TEST_CASE("An error keeps its kind and its lines on the way through gRPC", "[rpc]") {
  for (const ErrorKind kind : {ErrorKind::kInvalid, ErrorKind::kNotFound, ErrorKind::kExists, ErrorKind::kSystem}) {
    const grpc::Status status = ToGrpc({kind, "first\nsecond"});
    REQUIRE_FALSE(status.ok());
    REQUIRE(FromGrpc(status).kind == kind);
    REQUIRE(FromGrpc(status).message == "first\nsecond");
  }
  REQUIRE(ToGrpc({ErrorKind::kInvalid, ""}).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  REQUIRE(ToGrpc({ErrorKind::kNotFound, ""}).error_code() == grpc::StatusCode::NOT_FOUND);
  REQUIRE(ToGrpc({ErrorKind::kExists, ""}).error_code() == grpc::StatusCode::ALREADY_EXISTS);
  REQUIRE(ToGrpc({ErrorKind::kSystem, ""}).error_code() == grpc::StatusCode::INTERNAL);
  REQUIRE(FromGrpc({grpc::StatusCode::UNKNOWN, "?"}).kind == ErrorKind::kSystem);
}

TEST_CASE("An error too long for gRPC is cut at a line and tells how much is missing", "[rpc]") {
  std::string message;
  const std::string line(1023, 'x');
  for (int i = 0; i < 300; ++i) message += (i == 0 ? "" : "\n") + line;
  const std::string cut = ToGrpc({ErrorKind::kInvalid, message}).error_message();
  REQUIRE(cut.size() <= kMaxErrorBytes + 100);
  REQUIRE(cut.ends_with(line + "\n... and 44 more lines"));
}

TEST_CASE("The state names reals in the order of their addresses, with slots, next hop and counters", "[rpc]") {
  const Snapshot snapshot = SmallSnapshot();
  const v1::State state = ToState(snapshot, Capacities{1, 2, 3}, SmallCounters());
  REQUIRE(state.max_flows() == 3);
  REQUIRE(state.vips_size() == 1);
  const v1::VipState& vip = state.vips(0);
  REQUIRE(vip.vip() == "203.0.113.10:443/tcp");
  REQUIRE(vip.tracking() == v1::TRACKING_NONE);
  REQUIRE(vip.ring_size() == 65537);  // the default is in force
  REQUIRE(vip.udp_idle_seconds() == 60);
  REQUIRE(vip.tcp_settle_seconds() == 600);
  REQUIRE_FALSE(vip.quic());
  REQUIRE(vip.traffic().bytes() == 3000);
  REQUIRE(vip.traffic().new_flows() == 3);
  REQUIRE(vip.reals_size() == 2);
  REQUIRE(vip.reals(0).address() == "10.0.0.11");
  REQUIRE(vip.reals(0).weight() == 30);
  REQUIRE(vip.reals(0).state() == v1::REAL_STATE_ACTIVE);
  REQUIRE(vip.reals(0).slots() == 3);
  REQUIRE(vip.reals(0).next_hop() == "02:00:00:00:00:01 dev lo");
  REQUIRE(vip.reals(0).traffic().packets() == 20);
  REQUIRE(vip.reals(1).state() == v1::REAL_STATE_DRAIN);
  REQUIRE(vip.reals(1).slots() == 1);
  REQUIRE(vip.reals(1).next_hop().empty());
  REQUIRE(vip.reals(1).problem() == "no route to 10.0.0.12");
  REQUIRE(vip.reals(1).traffic().packets() == 10);
}

TEST_CASE("The state tells what was observed, and leaves out what was not yet", "[rpc]") {
  Snapshot snapshot = SmallSnapshot();
  const v1::State early = ToState(snapshot, Capacities{1, 2, 3}, SmallCounters());
  REQUIRE_FALSE(early.vips(0).has_settling());
  REQUIRE_FALSE(early.vips(0).has_activity());
  REQUIRE_FALSE(early.vips(0).reals(0).has_activity());

  Observation observed;
  observed.slots[Vip1()] = {.stable = 1,
                            .moving = 2,
                            .with_exceptions = 3,
                            .remembered = 4,
                            .refused = 5,
                            .settles_in = std::chrono::seconds(580)};
  observed.activity[Vip1()] = {.vip = {100.5, 7.5}, .reals = {{2, {60, 5}}}};
  snapshot.observed = std::make_shared<const Observation>(observed);
  const v1::VipState vip = ToState(snapshot, Capacities{1, 2, 3}, SmallCounters()).vips(0);
  REQUIRE(vip.settling().stable_slots() == 1);
  REQUIRE(vip.settling().moving_slots() == 2);
  REQUIRE(vip.settling().slots_with_exceptions() == 3);
  REQUIRE(vip.settling().remembered_flows() == 4);
  REQUIRE(vip.settling().refused_flows() == 5);
  REQUIRE(vip.settling().settles_in_seconds() == 580);
  REQUIRE(vip.activity().flows() == 100.5);
  REQUIRE(vip.activity().new_flows_per_second() == 7.5);
  REQUIRE(vip.reals(0).activity().flows() == 60);  // index 2
  REQUIRE(vip.reals(0).activity().new_flows_per_second() == 5);
  REQUIRE_FALSE(vip.reals(1).has_activity());

  observed.slots[Vip1()].settles_in.reset();
  snapshot.observed = std::make_shared<const Observation>(observed);
  REQUIRE_FALSE(ToState(snapshot, Capacities{1, 2, 3}, SmallCounters()).vips(0).settling().has_settles_in_seconds());
}

TEST_CASE("Plain UDP tells no new flows unless every flow is remembered; TCP and QUIC do", "[rpc]") {
  const auto [name, tracking, quic, tells] = GENERATE(table<const char*, Tracking, bool, bool>({
      {"203.0.113.10:443/tcp", Tracking::kMoving, false, true},
      {"203.0.113.10:443/tcp", Tracking::kNone, false, true},
      {"203.0.113.10:443/udp", Tracking::kMoving, false, false},
      {"203.0.113.10:443/udp", Tracking::kNone, false, false},
      {"203.0.113.10:443/udp", Tracking::kAll, false, true},
      {"203.0.113.10:443/udp", Tracking::kMoving, true, true},
  }));
  const VipKey key = *VipKey::Parse(name);
  Snapshot snapshot = SmallSnapshot();
  PlannedVip planned = snapshot.plan.vips.extract(Vip1()).mapped();
  planned.entry.tracking = tracking;
  planned.entry.quic = quic;
  snapshot.plan.vips[key] = planned;
  Observation observed;
  observed.activity[key] = {.vip = {100, 7}, .reals = {{1, {40, 2}}}};
  snapshot.observed = std::make_shared<const Observation>(observed);
  const Counters counters = {{key, SmallCounters().begin()->second}};
  const v1::VipState vip = ToState(snapshot, Capacities{1, 2, 3}, counters).vips(0);
  REQUIRE(vip.traffic().has_new_flows() == tells);
  REQUIRE(vip.activity().has_new_flows_per_second() == tells);
  REQUIRE(vip.activity().flows() == 100);
  for (const v1::RealStatus& real : vip.reals()) {
    REQUIRE(real.traffic().has_new_flows() == tells);
    REQUIRE(real.activity().has_new_flows_per_second() == (tells && real.has_activity()));
  }
}

TEST_CASE("Flows are told with the VIP's address and the client's port, up to the limit", "[rpc]") {
  const Plan plan = SmallSnapshot().plan;
  const Endpoint source = *Endpoint::Parse("198.51.100.7:40000");
  std::vector<FlowEntry> flows(4);
  flows[0].flow = {7, source, 443, 2};
  flows[0].idle_seconds = 12;
  flows[1].flow = {7, source, 444, 9};
  flows[2].flow = {8, source, 443, 1};
  flows[3].flow = {7, source, 445, 1};
  const v1::Flows all = ToFlows(plan, flows, 4);
  REQUIRE(all.flows_size() == 2);  // the others' VIP or real is gone
  REQUIRE(all.flows(0).source() == "198.51.100.7:40000");
  REQUIRE(all.flows(0).destination() == "203.0.113.10:443/tcp");
  REQUIRE(all.flows(0).real() == "10.0.0.11");
  REQUIRE(all.flows(0).idle_seconds() == 12);
  REQUIRE(all.flows(1).destination() == "203.0.113.10:445/tcp");
  REQUIRE_FALSE(all.more());
  REQUIRE(ToFlows(plan, flows, 1).more());
  REQUIRE(ToFlows(plan, flows, 1).flows_size() == 1);
}

TEST_CASE("Verdicts travel with action and sentence", "[rpc]") {
  const VerdictInfo& info = AllVerdicts().front();
  const VerdictCount counts[] = {{info.number, 5, 320}};
  const v1::Verdicts verdicts = ToVerdicts(counts);
  REQUIRE(verdicts.verdicts(0).name() == info.name);
  REQUIRE(verdicts.verdicts(0).action() == info.action);
  REQUIRE(verdicts.verdicts(0).sentence() == info.sentence);
  REQUIRE(verdicts.verdicts(0).bytes() == 320);
}

TEST_CASE("Setting a VIP changes only the settings that are present", "[rpc]") {
  DesiredState state;
  v1::Vip vip;
  vip.set_vip("203.0.113.10:443/tcp");
  vip.set_tracking(v1::TRACKING_NONE);
  vip.set_ring_size(4099);
  REQUIRE(AddVip(state, vip));
  REQUIRE(AddReal(state, RealNamed("203.0.113.10:443/tcp", "10.0.0.11")));
  v1::Vip change;
  change.set_vip("203.0.113.10:443/tcp");
  change.set_outer_ttl(9);
  change.set_udp_idle_seconds(5);
  change.set_tcp_settle_seconds(6);
  change.set_quic(true);
  REQUIRE(SetVip(state, change));
  const Vip& now = state.vips.at(Vip1());
  REQUIRE(now.tracking == Tracking::kNone);
  REQUIRE(now.ring_size == 4099u);
  REQUIRE(now.outer_ttl == uint8_t{9});
  REQUIRE(now.udp_idle_seconds == 5u);
  REQUIRE(now.tcp_settle_seconds == 6u);
  REQUIRE(now.quic);
  REQUIRE(now.reals.size() == 1);

  change.clear_quic();
  REQUIRE(SetVip(state, change));
  REQUIRE(now.quic);  // what is absent stays
  change.set_quic(false);
  REQUIRE(SetVip(state, change));
  REQUIRE_FALSE(now.quic);

  change.set_tracking(v1::TRACKING_UNSPECIFIED);  // the default again
  REQUIRE(SetVip(state, change));
  REQUIRE_FALSE(state.vips.at(Vip1()).tracking.has_value());

  change.add_reals()->set_address("10.0.0.12");
  REQUIRE(SetVip(state, change).error().kind == ErrorKind::kInvalid);
}

TEST_CASE("Setting a real changes only the settings that are present", "[rpc]") {
  DesiredState state;
  state.vips[Vip1()].reals[Real1()] = Real{30, RealState::kDrain};
  v1::RealRequest request = RealNamed("203.0.113.10:443/tcp", "10.0.0.11");
  request.mutable_real()->set_weight(0);
  REQUIRE(SetReal(state, request));
  REQUIRE(state.vips.at(Vip1()).reals.at(Real1()) == Real{0, RealState::kDrain});
  request.mutable_real()->clear_weight();
  request.mutable_real()->set_state(v1::REAL_STATE_ACTIVE);
  REQUIRE(SetReal(state, request));
  REQUIRE(state.vips.at(Vip1()).reals.at(Real1()) == Real{0, RealState::kActive});
}

TEST_CASE("What is missing or there already is told with its remedy, and changes nothing", "[rpc]") {
  DesiredState state;
  state.vips[Vip1()].reals[Real1()];
  const DesiredState before = state;
  v1::Vip vip;
  vip.set_vip("203.0.113.10:443/tcp");
  v1::RemoveRealRequest removal;
  removal.set_vip("203.0.113.10:443/tcp");
  removal.set_address("10.0.0.12");

  const auto expect = [&](const Status& status, ErrorKind kind, const std::string& words) {
    REQUIRE_FALSE(status);
    REQUIRE(status.error().kind == kind);
    REQUIRE(status.error().message.find(words) != std::string::npos);
    REQUIRE(state == before);
  };
  expect(AddVip(state, vip), ErrorKind::kExists, "change it with: shuntctl vip set 203.0.113.10:443/tcp");
  vip.set_vip("203.0.113.11:443/tcp");
  expect(SetVip(state, vip), ErrorKind::kNotFound, "add it first: shuntctl vip add 203.0.113.11:443/tcp");
  expect(RemoveVip(state, "203.0.113.11:443/tcp"), ErrorKind::kNotFound, "no VIP 203.0.113.11:443/tcp");
  expect(AddReal(state, RealNamed("203.0.113.11:443/tcp", "10.0.0.11")), ErrorKind::kNotFound,
         "shuntctl vip add 203.0.113.11:443/tcp");
  expect(AddReal(state, RealNamed("203.0.113.10:443/tcp", "10.0.0.11")), ErrorKind::kExists,
         "shuntctl real set 203.0.113.10:443/tcp 10.0.0.11");
  expect(SetReal(state, RealNamed("203.0.113.10:443/tcp", "10.0.0.12")), ErrorKind::kNotFound,
         "shuntctl real add 203.0.113.10:443/tcp 10.0.0.12");
  expect(RemoveReal(state, removal), ErrorKind::kNotFound, "no real 10.0.0.12");
}

TEST_CASE("Every problem of form of one request is a line", "[rpc]") {
  DesiredState state;
  v1::Vip vip;
  vip.set_vip("203.0.113.10:443");
  vip.set_outer_ttl(256);
  vip.add_reals()->set_address("10.0.0.300");
  vip.add_reals();
  const Status status = AddVip(state, vip);
  REQUIRE_FALSE(status);
  REQUIRE(status.error().kind == ErrorKind::kInvalid);
  const std::string& message = status.error().message;
  REQUIRE(std::ranges::count(message, '\n') == 3);
  REQUIRE(message.find("the protocol is missing") != std::string::npos);
  REQUIRE(message.find("outer_ttl: 256") != std::string::npos);
  REQUIRE(message.find("10.0.0.300") != std::string::npos);
  REQUIRE(message.find("address: missing") != std::string::npos);
  REQUIRE(state.vips.empty());
}

}  // namespace
}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// From a snapshot to distinct targets: who shares, who does not, and which tunnel a probe takes.
#include "userspace/health/targets.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <string>

#include "tests/unit/control_testing.h"
#include "userspace/dataplane/probe_mark.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::milliseconds;

const VipKey kHttps = Key("203.0.113.10:443/tcp");
const VipKey kHttp = Key("203.0.113.10:80/tcp");
const VipKey kElsewhere = Key("203.0.113.11:80/tcp");
const IpAddress kOne = Address("10.0.0.1");
const IpAddress kTwo = Address("10.0.0.2");
const IpAddress kSix = Address("2001:db8:7::6");

// Every VIP has its entries: index i+1 for its i-th real, from entry 8, 16, … on; every real has a next hop.
Snapshot SnapshotOf(const DesiredState& desired) {
  Snapshot snapshot{.desired = desired, .plan = {}, .next_hops = NextHopsOf(desired)};
  uint32_t base = 8;
  for (const auto& [key, vip] : desired.vips) {
    PlannedVip& planned = snapshot.plan.vips[key];
    planned.entry.real_base = base;
    uint16_t index = 1;
    for (const auto& [address, real] : vip.reals) {
      const auto& hop = snapshot.next_hops.at(address).next_hop;
      planned.reals[index++] = {.address = address, .outer = OuterHeader{.next_hop = *hop}};
    }
    base += 8;
  }
  return snapshot;
}

HealthCheck Check(CheckKind kind, ProbeVia via = ProbeVia::kDirect) { return {.kind = kind, .via = via}; }

DesiredState OneVip(const HealthCheck& check) {
  DesiredState state;
  state.vips[kHttp].health = check;
  state.vips[kHttp].reals[kOne] = {};
  return state;
}

DesiredState TwoVips(const HealthCheck& first, const HealthCheck& second, const VipKey& other = kElsewhere) {
  DesiredState state = OneVip(first);
  state.vips[other].health = second;
  state.vips[other].reals[kOne] = {};
  return state;
}

const ProbeTarget& Only(const TargetTable& targets) {
  REQUIRE(targets.size() == 1);
  return targets.begin()->first.target;
}

}  // namespace

TEST_CASE("VIPs without a check have no targets, and defaults give them one") {
  DesiredState state;
  state.vips[kHttp].reals[kOne] = {};
  CHECK(MakeTargets(SnapshotOf(state)).empty());
  state.defaults.health = Check(CheckKind::kTcp);
  CHECK(MakeTargets(SnapshotOf(state)).size() == 1);
  state.vips[kHttp].health = HealthCheck{};
  CHECK(MakeTargets(SnapshotOf(state)).empty());
}

TEST_CASE("A direct probe asks the real's own address, one through the tunnel the VIP's") {
  const auto direct = MakeTargets(SnapshotOf(OneVip(Check(CheckKind::kTcp))));
  CHECK(Only(direct).destination == kOne);
  CHECK(Only(direct).port == 80);
  CHECK(direct.begin()->second.route == ProbeRoute{});
  const auto tunnelled = MakeTargets(SnapshotOf(OneVip(Check(CheckKind::kTcp, ProbeVia::kTunnel))));
  CHECK(Only(tunnelled).destination == kHttp.address);
  CHECK(Only(tunnelled).real == kOne);
  CHECK(tunnelled.begin()->second.route.mark == ProbeMark(8 + 1));
}

TEST_CASE("A probe through the tunnel is marked with its real's entry and as long as the tunnel carries") {
  DesiredState state;
  state.vips[kHttp].health = Check(CheckKind::kTcp, ProbeVia::kTunnel);
  state.vips[kHttp].reals = {{kOne, {}}, {kTwo, {}}, {kSix, {}}};
  state.vips[kElsewhere] = state.vips[kHttp];
  Snapshot snapshot = SnapshotOf(state);
  auto& hop = snapshot.plan.vips.at(kElsewhere).reals.at(2).outer->next_hop;
  hop.mtu_bytes = 1400;
  std::map<std::pair<IpAddress, IpAddress>, ProbeRoute> routes;
  for (const auto& [key, target] : MakeTargets(snapshot))
    routes[{key.target.destination, key.target.real}] = target.route;
  REQUIRE(routes.size() == 6);
  const IpAddress first = kHttp.address, second = kElsewhere.address;
  CHECK(routes.at({first, kOne}) == ProbeRoute{.mark = ProbeMark(9), .max_inner_bytes = 1480});
  CHECK(routes.at({first, kTwo}) == ProbeRoute{.mark = ProbeMark(10), .max_inner_bytes = 1480});
  CHECK(routes.at({first, kSix}) == ProbeRoute{.mark = ProbeMark(11), .max_inner_bytes = 1460});
  CHECK(routes.at({second, kTwo}) == ProbeRoute{.mark = ProbeMark(18), .max_inner_bytes = 1380});
}

TEST_CASE("A real without a next hop has the reason as its problem, unless it is asked directly") {
  for (const ProbeVia via : {ProbeVia::kTunnel, ProbeVia::kDirect}) {
    Snapshot snapshot = SnapshotOf(OneVip(Check(CheckKind::kTcp, via)));
    snapshot.plan.vips.at(kHttp).reals.at(1).outer.reset();
    snapshot.next_hops[kOne] = {.next_hop = {}, .problem = "no route to 10.0.0.1"};
    const auto targets = MakeTargets(snapshot);
    const bool tunnel = via == ProbeVia::kTunnel;
    CHECK(targets.begin()->second.problem == (tunnel ? "no next hop: no route to 10.0.0.1" : ""));
    CHECK(targets.begin()->second.route == ProbeRoute{});
  }
  Snapshot unwritten = SnapshotOf(OneVip(Check(CheckKind::kTcp, ProbeVia::kTunnel)));
  unwritten.plan.vips.clear();
  CHECK_THAT(MakeTargets(unwritten).begin()->second.problem, Catch::StartsWith("no next hop"));
}

TEST_CASE("VIPs that ask a real the same share one probe, at the shortest interval and the longest timeout") {
  HealthCheck first = Check(CheckKind::kTcp);
  first.port = 8080;
  first.interval_ms = 2000;
  first.failing_interval_ms = 700;
  first.timeout_ms = 300;
  first.rise = 5;
  first.jitter_percent = 3;
  HealthCheck second = first;
  second.interval_ms = 1000;
  second.failing_interval_ms = 0;
  second.timeout_ms = 400;
  second.rise = 1;
  second.jitter_percent = 20;
  const auto targets = MakeTargets(SnapshotOf(TwoVips(first, second)));
  CHECK(Only(targets).port == 8080);
  const WantedTarget& target = targets.begin()->second;
  REQUIRE(target.subscribers.size() == 2);
  CHECK(target.interval() == milliseconds(1000));
  CHECK(target.failing_interval() == milliseconds(700));
  CHECK(target.timeout() == milliseconds(400));
  CHECK(target.jitter_percent() == 3);
  CHECK(target.subscribers[0].key == CheckedRealKey{kHttp, kOne});
  CHECK(target.subscribers[0].timeout == milliseconds(300));
  CHECK(target.subscribers[0].rules.rise == 5);
  CHECK(target.subscribers[1].key == CheckedRealKey{kElsewhere, kOne});
  CHECK(target.subscribers[1].failing_interval == milliseconds(1000));
}

TEST_CASE("Who would wait longer for an answer than another between two probes has a probe of its own") {
  HealthCheck hasty = Check(CheckKind::kTcp);
  hasty.interval_ms = 1000;
  hasty.timeout_ms = 500;
  HealthCheck patient = hasty;
  patient.interval_ms = 60000;
  patient.timeout_ms = 5000;
  const auto targets = MakeTargets(SnapshotOf(TwoVips(hasty, patient)));
  REQUIRE(targets.size() == 2);
  CHECK(targets.begin()->first.part == 0);
  CHECK(targets.begin()->second.timeout() == milliseconds(500));
  CHECK(targets.rbegin()->first.part == 1);
  CHECK(targets.rbegin()->second.interval() == milliseconds(60000));
  // Failing is when it matters most.
  patient.timeout_ms = 900;
  CHECK(MakeTargets(SnapshotOf(TwoVips(hasty, patient))).size() == 1);
  hasty.failing_interval_ms = 600;
  CHECK(MakeTargets(SnapshotOf(TwoVips(hasty, patient))).size() == 2);
}

TEST_CASE("Through the tunnel only VIPs with the same address share") {
  HealthCheck check = Check(CheckKind::kTcp, ProbeVia::kTunnel);
  check.port = 8080;
  CHECK(MakeTargets(SnapshotOf(TwoVips(check, check, kHttps))).size() == 1);
  CHECK(MakeTargets(SnapshotOf(TwoVips(check, check, kElsewhere))).size() == 2);
  check.port = 0;
  CHECK(MakeTargets(SnapshotOf(TwoVips(check, check, kHttps))).size() == 2);
}

TEST_CASE("One of two ways to a shared target that is open will do") {
  HealthCheck check = Check(CheckKind::kTcp, ProbeVia::kTunnel);
  check.port = 8080;
  for (const VipKey& broken : {kHttp, kHttps}) {
    Snapshot snapshot = SnapshotOf(TwoVips(check, check, kHttps));
    snapshot.plan.vips.at(broken).reals.at(1).outer.reset();
    const auto targets = MakeTargets(snapshot);
    REQUIRE(targets.size() == 1);
    CHECK(targets.begin()->second.problem.empty());
    CHECK(targets.begin()->second.route.mark == ProbeMark(broken == kHttp ? 17 : 9));
  }
}

TEST_CASE("What belongs to a kind of check makes another question, what does not shares") {
  using Edit = std::function<void(HealthCheck&)>;
  struct Row {
    CheckKind kind;
    bool tls;
    Edit edit;
    bool shares;
  };
  const Edit path = [](HealthCheck& check) { check.path = "/health"; };
  const Edit status = [](HealthCheck& check) { check.status = {{200, 200}}; };
  const Edit body = [](HealthCheck& check) { check.body = "ok"; };
  const Edit name = [](HealthCheck& check) { check.tls_name = "example.org"; };
  const Edit verify = [](HealthCheck& check) { check.tls_verify = false; };
  const Edit tls = [](HealthCheck& check) { check.tls = true; };
  const Edit service = [](HealthCheck& check) { check.grpc_service = "a.B"; };
  const Edit send = [](HealthCheck& check) { check.send = "ping"; };
  const Edit query = [](HealthCheck& check) { check.dns_name = "example.org"; };
  const Edit command = [](HealthCheck& check) { check.command = {"/bin/true"}; };
  const Edit judged = [](HealthCheck& check) { check.rise = check.fall = 7; };
  const Row rows[] = {
      {CheckKind::kTcp, false, path, true},      {CheckKind::kTcp, false, judged, true},
      {CheckKind::kHttp, false, path, false},    {CheckKind::kHttp, false, status, false},
      {CheckKind::kHttp, false, body, false},    {CheckKind::kHttp, false, name, true},
      {CheckKind::kHttp, false, service, true},  {CheckKind::kHttp, false, judged, true},
      {CheckKind::kHttps, false, name, false},   {CheckKind::kHttps, false, verify, false},
      {CheckKind::kHttps, false, tls, true},     {CheckKind::kHttp2, false, tls, false},
      {CheckKind::kHttp2, false, name, true},    {CheckKind::kHttp2, true, name, false},
      {CheckKind::kGrpc, false, service, false}, {CheckKind::kGrpc, true, verify, false},
      {CheckKind::kGrpc, false, path, true},     {CheckKind::kTls, false, name, false},
      {CheckKind::kTls, false, body, true},      {CheckKind::kUdp, false, send, false},
      {CheckKind::kDns, false, query, false},    {CheckKind::kDns, false, send, true},
      {CheckKind::kIcmp, false, query, true},    {CheckKind::kExec, false, command, false},
  };
  for (const Row& row : rows) {
    HealthCheck first = Check(row.kind);
    first.port = 8080;
    first.tls = row.tls;
    HealthCheck second = first;
    row.edit(second);
    INFO("row " << &row - rows);
    // At the same address: a program is told the VIP's.
    CHECK(MakeTargets(SnapshotOf(TwoVips(first, second, kHttps))).size() == (row.shares ? 1 : 2));
  }
}

TEST_CASE("A program is never sent through the tunnel, and is told of the VIP") {
  HealthCheck check = Check(CheckKind::kExec, ProbeVia::kTunnel);
  check.command = {"/bin/true"};
  const auto targets = MakeTargets(SnapshotOf(OneVip(check)));
  CHECK(Only(targets).via == ProbeVia::kDirect);
  CHECK(Only(targets).destination == kHttp.address);
  CHECK(Only(targets).real == kOne);
  CHECK(Only(targets).port == 80);
  CHECK(targets.begin()->second.route == ProbeRoute{});
}

TEST_CASE("An echo request has no port") {
  const auto targets = MakeTargets(SnapshotOf(TwoVips(Check(CheckKind::kIcmp), Check(CheckKind::kIcmp), kHttps)));
  CHECK(Only(targets).port == 0);
}

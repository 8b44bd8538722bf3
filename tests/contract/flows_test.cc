// SPDX-License-Identifier: Apache-2.0
// The contract on the flow table, on what it refuses, and on how many flows are told to be there.
#include <algorithm>
#include <array>
#include <set>

#include "tests/contract/subject.h"

namespace shunt::test {
namespace {

constexpr std::string_view kService = "203.0.113.10:443/tcp";
constexpr uint32_t kId = 1;

Plan Tracked() {
  return MakePlan(
      {{.vip = kService, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .tracking = Tracking::kAll, .ring = {1, 1}},
       {.vip = "[2001:db8:1::10]:*/udp", .reals = {{"10.0.0.11"}}, .tracking = Tracking::kAll}});
}

// Every slot moves from real 1 to real 2.
Plan Moving() {
  return MakePlan({{.vip = kService,
                    .reals = {{"10.0.0.11"}, {"10.0.0.12"}},
                    .tracking = Tracking::kMoving,
                    .slots = {{2, 1}, {2, 1}, {2, 1}}}});
}

uint32_t EntryOf(const Plan& plan, uint16_t index) { return plan.vips.at(Vip(kService)).entry.real_base + index; }

RememberedFlow Flow(uint16_t source_port, uint16_t real_index) {
  return {kId, {Address("198.51.100.7"), source_port}, 443, real_index};
}

void SendFlows(Dataplane& dataplane, uint16_t first_port, uint16_t count, uint8_t flags = kAck) {
  for (uint16_t i = 0; i < count; ++i)
    RealOf(dataplane, {.source_port = static_cast<uint16_t>(first_port + i), .tcp_flags = flags});
}

std::set<RememberedFlow> Flows(Dataplane& dataplane) {
  const auto flows = Must(dataplane.ReadFlows(10'000));
  const std::set<RememberedFlow> all(flows.begin(), flows.end());
  REQUIRE(all.size() == flows.size());
  return all;
}

std::vector<FlowEntry> Entries(Dataplane& dataplane) {
  return Must(dataplane.ReadFlowEntries(0, dataplane.flow_places()));
}

Refusals RefusalsOf(Dataplane& dataplane, uint32_t id) {
  return Must(dataplane.ReadRefusals(std::span(&id, 1))).front();
}

double EstimateOf(Dataplane& dataplane, uint32_t entry) {
  return Must(dataplane.ReadFlowEstimates(std::span(&entry, 1))).front();
}

TEMPLATE_TEST_CASE("flows are remembered once each and told with VIP, client, port and real", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  for (int i = 0; i < 2; ++i) {
    RealOf(*dataplane, {.source_port = 1000});
    RealOf(*dataplane,
           {.destination = "2001:db8:1::10", .protocol = kUdp, .source_port = 1001, .destination_port = 99});
  }
  CHECK(Flows(*dataplane) == std::set<RememberedFlow>{Flow(1000, 1), {2, {Address("2001:db8:c::7"), 1001}, 99, 1}});
}

TEMPLATE_TEST_CASE("a remembered flow stays when the ring is replaced, and moves when its real is cleared", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = Tracked();
  Must(Install(*dataplane, plan));
  RealOf(*dataplane, {.source_port = 1});
  GiveRing(plan, Vip(kService), RingOf({2, 2}));
  Must(dataplane->SetVips(plan));
  CHECK(RealOf(*dataplane, {.source_port = 1}) == 11);
  CHECK(RealOf(*dataplane, {.source_port = 2}) == 12);
  const uint32_t entry = EntryOf(plan, 1);
  Must(dataplane->ClearReals(std::span(&entry, 1)));
  CHECK(RealOf(*dataplane, {.source_port = 1}) == 12);
  CHECK(Flows(*dataplane) == std::set<RememberedFlow>{Flow(1, 2), Flow(2, 2)});
}

TEMPLATE_TEST_CASE("at most as many flows are read as were asked for", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  CHECK(Must(dataplane->ReadFlows(5)).empty());
  SendFlows(*dataplane, 1, 300);
  const auto all = Flows(*dataplane);
  CHECK(all.size() == 300);
  for (const size_t limit : {size_t{0}, size_t{1}, size_t{17}, size_t{299}, size_t{300}, size_t{301}}) {
    const auto flows = Must(dataplane->ReadFlows(limit));
    CHECK(flows.size() == std::min<size_t>(limit, 300));
    CHECK(std::ranges::all_of(flows, [&](const RememberedFlow& flow) { return all.contains(flow); }));
    CHECK(std::set<RememberedFlow>(flows.begin(), flows.end()).size() == flows.size());
  }
}

TEMPLATE_TEST_CASE("flows of VIPs and reals that a plan does not have are forgotten and the others kept", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = Tracked();
  Must(Install(*dataplane, plan));
  SendFlows(*dataplane, 1, 20);
  GiveRing(plan, Vip(kService), RingOf({2, 2}));
  Must(dataplane->SetVips(plan));
  SendFlows(*dataplane, 101, 30);
  RealOf(*dataplane, {.destination = "2001:db8:1::10", .protocol = kUdp});
  Must(dataplane->ForgetFlowsExcept(plan));
  CHECK(Flows(*dataplane).size() == 51);
  plan.vips.at(Vip(kService)).reals.erase(1);
  Must(dataplane->ForgetFlowsExcept(plan));
  auto flows = Flows(*dataplane);
  CHECK(flows.size() == 31);
  CHECK(std::ranges::none_of(flows,
                             [](const RememberedFlow& flow) { return flow.vip_id == kId && flow.real_index == 1; }));
  plan.vips.erase(Vip(kService));
  Must(dataplane->SetVips(plan));  // a VIP's flows are found when it is gone, too
  Must(dataplane->ForgetFlowsExcept(plan));
  Must(dataplane->SetVips(Tracked()));  // and are not back when it is
  flows = Flows(*dataplane);
  REQUIRE(flows.size() == 1);
  CHECK(flows.begin()->vip_id == 2);
  Must(dataplane->ForgetFlowsExcept({}));
  CHECK(Flows(*dataplane).empty());
  Must(dataplane->ForgetFlowsExcept({}));
}

TEMPLATE_TEST_CASE("tracking all forgets old flows for new ones when the table is full and drops no packet", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open({.max_vips = 8, .max_reals = 64, .max_flows = 512});
  Must(Install(*dataplane, Tracked()));
  SendFlows(*dataplane, 1, 2000);
  const auto flows = Flows(*dataplane);
  CHECK(flows.size() <= dataplane->flow_places());
  CHECK(flows.contains(Flow(2000, 1)));  // the newest
  const uint32_t id = kId;
  CHECK(Must(dataplane->ReadVipTraffic(std::span(&id, 1))).front() == Traffic{2000, 80'000, 2000});
  CHECK(RefusalsOf(*dataplane, kId) == Refusals{});
}

TEMPLATE_TEST_CASE("a table of 4096 flows has places for more, and stretches of it hold each flow once", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  REQUIRE(dataplane->flow_places() >= kSmall.max_flows);
  SendFlows(*dataplane, 1, 500);
  std::set<RememberedFlow> found;
  uint64_t last = 0;
  constexpr uint64_t kStretch = 37;
  for (uint64_t first = 0; first < dataplane->flow_places(); first += kStretch) {
    for (const FlowEntry& entry : Must(dataplane->ReadFlowEntries(first, kStretch))) {
      CHECK(entry.ref.place >= first);
      CHECK(entry.ref.place < std::min(first + kStretch, dataplane->flow_places()));
      CHECK((found.empty() || entry.ref.place > last));
      last = entry.ref.place;
      CHECK(found.insert(entry.flow).second);
    }
  }
  CHECK(found == Flows(*dataplane));
  CHECK(found.size() == 500);
}

TEMPLATE_TEST_CASE("a flow that was just seen is not idle, and is confirmed by a packet that does not open it", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Moving()));
  RealOf(*dataplane, {.tcp_flags = kSyn});
  RealOf(*dataplane, {.tcp_flags = kSyn});
  REQUIRE(Entries(*dataplane).size() == 1);
  CHECK_FALSE(Entries(*dataplane).front().confirmed);
  CHECK(Entries(*dataplane).front().idle_seconds < 30);
  CHECK(Entries(*dataplane).front().flow == Flow(40000, 2));
  RealOf(*dataplane, {.tcp_flags = kAck});
  REQUIRE(Entries(*dataplane).size() == 1);
  CHECK(Entries(*dataplane).front().confirmed);
}

TEMPLATE_TEST_CASE("on a moving slot old flows and new ones are remembered with the real they have", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Moving()));
  CHECK(RealOf(*dataplane, {.source_port = 1, .tcp_flags = kSyn}) == 12);
  CHECK(RealOf(*dataplane, {.source_port = 2, .tcp_flags = kAck}) == 11);
  CHECK(RealOf(*dataplane, {.source_port = 1, .tcp_flags = kAck}) == 12);
  CHECK(RealOf(*dataplane, {.source_port = 2, .tcp_flags = kSyn}) == 11);
  CHECK(Flows(*dataplane) == std::set<RememberedFlow>{Flow(1, 2), Flow(2, 1)});
}

TEMPLATE_TEST_CASE("a flow that is dropped is gone and the others stay", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  SendFlows(*dataplane, 1, 3);
  std::vector<FlowRef> gone;
  for (const FlowEntry& entry : Entries(*dataplane))
    if (entry.flow.source.port != 2) gone.push_back(entry.ref);
  CHECK(Must(dataplane->DropFlows(gone)) == 2);
  CHECK(Flows(*dataplane) == std::set<RememberedFlow>{Flow(2, 1)});
  CHECK(Must(dataplane->DropFlows(gone)) == 0);
  CHECK(Flows(*dataplane) == std::set<RememberedFlow>{Flow(2, 1)});
  CHECK(Must(dataplane->DropFlows({})) == 0);
}

TEMPLATE_TEST_CASE("a flow that a packet touched since it was read is not dropped", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Moving()));
  RealOf(*dataplane, {.tcp_flags = kSyn});
  const FlowRef as_read = Entries(*dataplane).front().ref;
  RealOf(*dataplane, {.tcp_flags = kAck});
  CHECK(Must(dataplane->DropFlows(std::span(&as_read, 1))) == 0);
  CHECK(Flows(*dataplane) == std::set<RememberedFlow>{Flow(40000, 2)});
  const FlowRef as_it_is = Entries(*dataplane).front().ref;
  CHECK(Must(dataplane->DropFlows(std::span(&as_it_is, 1))) == 1);
  CHECK(Flows(*dataplane).empty());
}

TEMPLATE_TEST_CASE("a flow that may not be remembered goes to the slot's previous real and is counted as refused", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall, 0);
  Must(Install(*dataplane, Moving()));
  CHECK(RefusalsOf(*dataplane, kId) == Refusals{});
  for (uint16_t port = 1; port <= 10; ++port) CHECK(RealOf(*dataplane, {.source_port = port, .tcp_flags = kSyn}) == 11);
  const Refusals refusals = RefusalsOf(*dataplane, kId);
  CHECK(refusals.count == 10);
  REQUIRE(refusals.seconds_ago);
  CHECK(*refusals.seconds_ago < 30);
  CHECK(Flows(*dataplane).empty());
  CHECK(RefusalsOf(*dataplane, 2) == Refusals{});
  const uint32_t id = kId;
  Must(dataplane->ResetTraffic(std::span(&id, 1), {}));
  CHECK(RefusalsOf(*dataplane, kId) == Refusals{});
}

TEMPLATE_TEST_CASE("a table that is full refuses flows of moving slots and keeps those it has", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open({.max_vips = 8, .max_reals = 64, .max_flows = 6});
  Must(Install(*dataplane, Moving()));
  SendFlows(*dataplane, 1, 6);
  const auto first = Flows(*dataplane);
  CHECK(first.size() == 6);
  SendFlows(*dataplane, 7, 94);
  const auto flows = Flows(*dataplane);
  CHECK(flows.size() <= dataplane->flow_places());
  CHECK(std::ranges::includes(flows, first));
  CHECK(RefusalsOf(*dataplane, kId).count == 100 - flows.size());
}

TEMPLATE_TEST_CASE("refusals and estimates of what is not there are refused", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const uint32_t id = kSmall.max_vips + 1;
  const uint32_t entry = kSmall.max_reals;
  CHECK_FALSE(dataplane->ReadRefusals(std::span(&id, 1)));
  CHECK_FALSE(dataplane->ReadFlowEstimates(std::span(&entry, 1)));
  CHECK(Must(dataplane->ReadRefusals({})).empty());
  CHECK(Must(dataplane->ReadFlowEstimates({})).empty());
}

TEMPLATE_TEST_CASE("the number of a real's flows is estimated within 25 %, whatever their packets", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const Plan plan = MakePlan({{.vip = kService, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .ring = {1}}});
  Must(Install(*dataplane, plan));
  const uint32_t entry = EntryOf(plan, 1);
  uint16_t sent = 0;
  for (const uint16_t flows : {uint16_t{10}, uint16_t{200}, uint16_t{3000}}) {
    for (int again = 0; again < 2; ++again) SendFlows(*dataplane, 1, flows);
    sent = std::max(sent, flows);
    CHECK(EstimateOf(*dataplane, entry) == Approx(sent).epsilon(0.25));
  }
  CHECK(EstimateOf(*dataplane, EntryOf(plan, 2)) == 0);
}

TEMPLATE_TEST_CASE("an estimate covers the interval before the last turn, and starts at zero when it is reset", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const Plan plan = MakePlan({{.vip = kService, .reals = {{"10.0.0.11"}}, .ring = {1}}});
  Must(Install(*dataplane, plan));
  const uint32_t entry = EntryOf(plan, 1);
  for (int round = 0; round < 2; ++round) {
    SendFlows(*dataplane, 1, 100);
    const double before = EstimateOf(*dataplane, entry);
    Must(dataplane->TurnFlowEstimates());
    CHECK(EstimateOf(*dataplane, entry) == before);
    SendFlows(*dataplane, 1, 100);
    CHECK(EstimateOf(*dataplane, entry) == before);  // the same flows again
    SendFlows(*dataplane, 1001, 300);
    CHECK(EstimateOf(*dataplane, entry) == Approx(400).epsilon(0.25));
    Must(dataplane->TurnFlowEstimates());
    Must(dataplane->TurnFlowEstimates());
    CHECK(EstimateOf(*dataplane, entry) == 0);
  }
  SendFlows(*dataplane, 1, 100);
  Must(dataplane->TurnFlowEstimates());
  SendFlows(*dataplane, 1, 100);
  Must(dataplane->ResetTraffic({}, std::span(&entry, 1)));
  CHECK(EstimateOf(*dataplane, entry) == 0);
}

}  // namespace
}  // namespace shunt::test

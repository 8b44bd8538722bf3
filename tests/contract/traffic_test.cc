// SPDX-License-Identifier: Apache-2.0
// The contract on the counters that packets leave behind. Remembered flows: flows_test.cc.
#include <algorithm>
#include <array>

#include "tests/contract/subject.h"

namespace shunt::test {
namespace {

constexpr std::string_view kService = "203.0.113.10:443/tcp";
constexpr uint32_t kId = 1;

Plan Tracked() {
  return MakePlan(
      {{.vip = kService, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .tracking = Tracking::kAll, .ring = {1, 1}},
       {.vip = "[2001:db8:1::10]:*/udp", .reals = {{"10.0.0.11"}}, .tracking = Tracking::kAll},
       {.vip = "203.0.113.11:443/tcp", .reals = {{"10.0.0.11"}}}});
}

uint32_t EntryOf(const Plan& plan, std::string_view vip, uint16_t index) {
  return plan.vips.at(Vip(vip)).entry.real_base + index;
}

void Send(Dataplane& dataplane, const PacketSpec& packet) {
  REQUIRE(VerdictOn(dataplane, packet) == "TX_ENCAPSULATED");
}

void SendFlows(Dataplane& dataplane, uint16_t first_port, uint16_t count) {
  for (uint16_t i = 0; i < count; ++i) Send(dataplane, {.source_port = static_cast<uint16_t>(first_port + i)});
}

TEMPLATE_TEST_CASE("verdicts begin at zero, come in the order of the list, and count frames and their bytes", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  const Bytes sent = BuildFrame({.payload_bytes = 7});
  const Bytes passed = BuildFrame({.destination = "203.0.113.99", .payload_bytes = 9});
  for (int i = 0; i < 3; ++i) Must(dataplane->RunFrame(sent, kIngress));
  Must(dataplane->RunFrame(passed, kIngress));
  const auto verdicts = Must(dataplane->ReadVerdicts());
  REQUIRE(verdicts.size() == AllVerdicts().size());
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const std::string_view name = AllVerdicts()[i].name;
    INFO(name);
    CHECK(verdicts[i].verdict == AllVerdicts()[i].number);
    const uint64_t packets = name == "TX_ENCAPSULATED" ? 3 : name == "PASS_NOT_VIP" ? 1 : 0;
    CHECK(verdicts[i].packets == packets);
    CHECK(verdicts[i].bytes == packets * (name == "TX_ENCAPSULATED" ? sent.size() : passed.size()));
  }
}

TEMPLATE_TEST_CASE("a frame that is forwarded is given as it leaves, and counts and is remembered like any other", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  for (const std::string_view destination : {"203.0.113.10", "203.0.113.11"}) {
    const Bytes frame = BuildFrame({.destination = destination});
    const FrameResult run = Must(dataplane->RunFrame(frame, kIngress));
    REQUIRE(VerdictOf(run.verdict).name == "TX_ENCAPSULATED");
    const auto forwarded = Must(dataplane->Forward(frame, kIngress));
    REQUIRE(forwarded);
    CHECK(*forwarded == run.frame);
  }
  CHECK(VipTraffic(*dataplane, kId).packets == 2);
  CHECK(Must(dataplane->ReadFlows(10)).size() == 1);
}

TEMPLATE_TEST_CASE("a frame that is left to the host, or dropped, is not forwarded, and has its verdict", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = Tracked();
  Must(Install(*dataplane, plan));
  CHECK_FALSE(Must(dataplane->Forward(BuildFrame({.destination = "203.0.113.99"}), kIngress)));
  GiveRing(plan, Vip(kService), {});
  Must(dataplane->SetVips(plan));
  CHECK_FALSE(Must(dataplane->Forward(BuildFrame({}), kIngress)));
  for (const VerdictCount& count : Must(dataplane->ReadVerdicts())) {
    const std::string_view name = VerdictOf(count.verdict).name;
    INFO(name);
    CHECK(count.packets == (name == "PASS_NOT_VIP" || name == "DROP_NO_REAL" ? 1 : 0));
  }
}

TEMPLATE_TEST_CASE("a frame's result is its verdict and the frame as it leaves", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  const Bytes passed = BuildFrame({.destination = "203.0.113.99"});
  CHECK(Must(dataplane->RunFrame(passed, kIngress)).frame == passed);
  const Bytes sent = BuildFrame({});
  const FrameResult result = Must(dataplane->RunFrame(sent, kIngress));
  CHECK(result.frame.size() == sent.size() + 20);
  CHECK(std::equal(sent.begin() + 14, sent.end(), result.frame.begin() + 34, result.frame.end()));
}

TEMPLATE_TEST_CASE("what is shorter than an Ethernet header is no frame", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  for (const size_t bytes : {0u, 1u, 13u}) {
    const auto result = dataplane->RunFrame(Bytes(bytes), kIngress);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::kInvalid);
  }
  const auto verdicts = Must(dataplane->ReadVerdicts());
  CHECK(std::ranges::all_of(verdicts, [](const VerdictCount& count) { return count.packets == 0; }));
}

TEMPLATE_TEST_CASE("traffic is counted for its VIP and its real, in the order asked for", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const Plan plan = Tracked();
  Must(Install(*dataplane, plan));
  Send(*dataplane, {.payload_bytes = 100, .padding_bytes = 3});
  Send(*dataplane, {.payload_bytes = 1});
  Send(*dataplane, {.destination = "2001:db8:1::10", .protocol = kUdp, .payload_bytes = 5});
  CHECK(VerdictOn(*dataplane, {.ip_options = Bytes(4, 1)}) == "DROP_IP_OPTIONS");  // counts for nobody
  const std::array<uint32_t, 4> ids = {2, 1, 3, 2};
  CHECK(Must(dataplane->ReadVipTraffic(ids)) == std::vector<Traffic>{{1, 53, 1}, {2, 181, 1}, {0, 0, 0}, {1, 53, 1}});
  const std::array<uint32_t, 3> entries = {EntryOf(plan, kService, 2), EntryOf(plan, kService, 1),
                                           EntryOf(plan, "[2001:db8:1::10]:*/udp", 1)};
  CHECK(Must(dataplane->ReadRealTraffic(entries)) == std::vector<Traffic>{{0, 0, 0}, {2, 181, 1}, {1, 53, 1}});
}

TEMPLATE_TEST_CASE("with tracking none a SYN is a new flow, every time", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Tracked()));
  for (const int flags : {int{kSyn}, int{kSyn}, kSyn | kAck, int{kAck}}) {
    Send(*dataplane, {.destination = "203.0.113.11", .tcp_flags = static_cast<uint8_t>(flags)});
  }
  CHECK(VipTraffic(*dataplane, 3) == Traffic{4, 160, 2});
  CHECK(Must(dataplane->ReadFlows(1)).empty());
}

TEMPLATE_TEST_CASE("counters that are reset start at zero and the others go on", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const Plan plan = Tracked();
  Must(Install(*dataplane, plan));
  SendFlows(*dataplane, 1, 3);
  Send(*dataplane, {.destination = "203.0.113.11"});
  const std::array<uint32_t, 1> ids = {kId};
  const uint32_t entry = EntryOf(plan, kService, 1);
  Must(dataplane->ResetTraffic(ids, {}));
  CHECK(VipTraffic(*dataplane, kId) == Traffic{});
  CHECK(VipTraffic(*dataplane, 3).packets == 1);
  CHECK(RealTraffic(*dataplane, entry).packets == 3);
  Must(dataplane->ResetTraffic({}, std::span(&entry, 1)));
  CHECK(RealTraffic(*dataplane, entry) == Traffic{});
  SendFlows(*dataplane, 1, 1);
  CHECK(VipTraffic(*dataplane, kId) == Traffic{1, 40, 0});
  CHECK(RealTraffic(*dataplane, entry) == Traffic{1, 40, 0});
}

TEMPLATE_TEST_CASE("a real that moves keeps its counts, as often as it moves, until they are reset", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const Plan plan = Tracked();
  Must(Install(*dataplane, plan));
  const uint32_t from = EntryOf(plan, kService, 1);
  const uint32_t to = 40;
  const uint32_t further = 50;
  SendFlows(*dataplane, 1, 3);
  Must(dataplane->CarryTraffic(from, to));
  CHECK(RealTraffic(*dataplane, to) == Traffic{3, 120, 3});
  CHECK(RealTraffic(*dataplane, from) == Traffic{3, 120, 3});
  Must(dataplane->CarryTraffic(to, further));
  CHECK(RealTraffic(*dataplane, further) == Traffic{3, 120, 3});
  // What it counts at its new place adds up with what it brought, and so does what comes from another entry.
  SendFlows(*dataplane, 1, 2);
  Must(dataplane->CarryTraffic(to, from));
  CHECK(RealTraffic(*dataplane, from) == Traffic{8, 320, 6});
  SendFlows(*dataplane, 1, 1);
  CHECK(RealTraffic(*dataplane, from) == Traffic{9, 360, 6});
  Must(dataplane->CarryTraffic(further, to));
  CHECK(RealTraffic(*dataplane, to) == Traffic{6, 240, 6});
  const std::array<uint32_t, 2> entries = {from, to};
  Must(dataplane->ResetTraffic({}, entries));
  CHECK(RealTraffic(*dataplane, from) == Traffic{});
  CHECK(RealTraffic(*dataplane, to) == Traffic{});
  CHECK(RealTraffic(*dataplane, further) == Traffic{3, 120, 3});
}

TEMPLATE_TEST_CASE("counters that are not there are refused", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const uint32_t id = kSmall.max_vips + 1;
  const uint32_t entry = kSmall.max_reals;
  CHECK_FALSE(dataplane->ReadVipTraffic(std::span(&id, 1)));
  CHECK_FALSE(dataplane->ReadRealTraffic(std::span(&entry, 1)));
  CHECK_FALSE(dataplane->ResetTraffic(std::span(&id, 1), {}));
  CHECK_FALSE(dataplane->ResetTraffic({}, std::span(&entry, 1)));
  CHECK_FALSE(dataplane->CarryTraffic(1, entry));
  CHECK_FALSE(dataplane->CarryTraffic(entry, 1));
}

}  // namespace
}  // namespace shunt::test

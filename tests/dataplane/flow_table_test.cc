// SPDX-License-Identifier: Apache-2.0
// What the program remembers, and what it does with it: VIPs with tracking all and with none. Tracking moving:
// tracking_test.cc.
#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <map>

#include "tests/dataplane/harness.h"

namespace shunt::test {
namespace {

constexpr std::string_view kTracked = "203.0.113.10:443/tcp";
constexpr std::string_view kTracked6 = "[2001:db8:1::10]:*/udp";
constexpr std::string_view kUntracked = "203.0.113.11:443/tcp";

Plan TwoReals(Tracking tracking = Tracking::kAll) {
  return MakePlan({
      {.vip = kTracked, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .tracking = tracking, .ring = {1, 1, 1}},
      {.vip = kTracked6, .reals = {{"10.0.0.11"}, {"2001:db8:7::12"}}, .tracking = tracking, .ring = {1, 1, 1}},
      {.vip = kUntracked, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .ring = {1, 1, 1}},
  });
}

PacketSpec Flow(uint16_t source_port, uint8_t flags = kAck) { return {.source_port = source_port, .tcp_flags = flags}; }
PacketSpec Flow6(uint16_t source_port, uint16_t destination_port = 53) {
  return {.destination = "2001:db8:1::10",
          .protocol = kUdp,
          .source_port = source_port,
          .destination_port = destination_port};
}

// The number of the real that a packet was sent to; both families end in it.
uint16_t RealOf(Harness& harness, const PacketSpec& packet) {
  const FrameResult result = harness.Run(BuildFrame(packet));
  REQUIRE(result.verdict == VERDICT_TX_ENCAPSULATED);
  const uint8_t last = result.frame[Get16(result.frame, 12) == 0x0800 ? 33 : 53];
  return last == 11 ? 1 : 2;
}

std::vector<RememberedFlow> Flows(Harness& harness) {
  auto flows = harness.kernel().ReadFlows(1000);
  REQUIRE(flows);
  std::ranges::sort(*flows);
  return *flows;
}

TEST_CASE(
    "with tracking all a remembered flow stays on its real when the ring changes, and a new flow goes by the ring") {
  Harness harness(TwoReals());
  for (uint16_t port = 1; port <= 50; ++port) CHECK(RealOf(harness, Flow(port, kSyn)) == 1);
  harness.SetRing(Vip(kTracked), RingOf({2, 2, 2}));
  for (uint16_t port = 1; port <= 50; ++port) CHECK(RealOf(harness, Flow(port)) == 1);
  for (uint16_t port = 51; port <= 100; ++port) CHECK(RealOf(harness, Flow(port, kSyn)) == 2);
  harness.SetRing(Vip(kTracked), RingOf({1, 1, 1}));
  for (uint16_t port = 1; port <= 100; ++port) CHECK(RealOf(harness, Flow(port, kFin | kAck)) == (port <= 50 ? 1 : 2));
}

TEST_CASE("with tracking all a SYN of a remembered flow cannot move it") {
  Harness harness(TwoReals());
  CHECK(RealOf(harness, Flow(1)) == 1);
  harness.SetRing(Vip(kTracked), RingOf({2, 2, 2}));
  CHECK(RealOf(harness, Flow(1, kSyn)) == 1);
}

TEST_CASE("UDP over IPv6 to a VIP of every port is remembered by both its ports") {
  Harness harness(TwoReals());
  CHECK(RealOf(harness, Flow6(1000, 53)) == 1);
  CHECK(RealOf(harness, Flow6(1000, 54)) == 1);
  harness.SetRing(Vip(kTracked6), RingOf({2, 2, 2}));
  CHECK(RealOf(harness, Flow6(1000, 53)) == 1);
  CHECK(RealOf(harness, Flow6(1000, 54)) == 1);
  CHECK(RealOf(harness, Flow6(1000, 55)) == 2);
  CHECK(RealOf(harness, Flow6(1001, 53)) == 2);
  CHECK(Flows(harness).size() == 4);
}

TEST_CASE("with tracking none every flow follows the ring at once and nothing is remembered") {
  Harness harness(TwoReals(Tracking::kNone));
  CHECK(RealOf(harness, Flow(1, kSyn)) == 1);
  harness.SetRing(Vip(kTracked), RingOf({2, 2, 2}));
  CHECK(RealOf(harness, Flow(1)) == 2);
  CHECK(Flows(harness).empty());
}

TEST_CASE("a remembered flow is read back with its VIP, client, port and real") {
  Harness harness(TwoReals());
  RealOf(harness, Flow(40001));
  RealOf(harness, Flow6(40002, 5353));
  const uint32_t id = harness.plan().vips.at(Vip(kTracked)).entry.id;
  const uint32_t id6 = harness.plan().vips.at(Vip(kTracked6)).entry.id;
  CHECK(Flows(harness) == std::vector<RememberedFlow>{{id, {Address("198.51.100.7"), 40001}, 443, 1},
                                                      {id6, {Address("2001:db8:c::7"), 40002}, 5353, 1}});
}

TEST_CASE("an entry whose real is gone is a miss: the flow goes by the ring and is remembered anew") {
  Harness harness(TwoReals());
  CHECK(RealOf(harness, Flow(1)) == 1);
  harness.SetRing(Vip(kTracked), RingOf({2, 2, 2}));
  CHECK(RealOf(harness, Flow(1)) == 1);
  harness.ClearReal(Vip(kTracked), 1);
  CHECK(RealOf(harness, Flow(1)) == 2);
  REQUIRE(Flows(harness).size() == 1);
  CHECK(Flows(harness).front().real_index == 2);
  CHECK(harness.VipTraffic(Vip(kTracked)).new_flows == 2);
  CHECK(harness.RealTraffic(Vip(kTracked), 2).new_flows == 1);
}

TEST_CASE("a remembered flow is served when the ring has nobody for new ones") {
  Harness harness(TwoReals());
  CHECK(RealOf(harness, Flow(1)) == 1);
  harness.SetRing(Vip(kTracked), RingOf({0, 0, 0}));
  CHECK(RealOf(harness, Flow(1)) == 1);
  CHECK(harness.Run(BuildFrame(Flow(2))).verdict == VERDICT_DROP_NO_REAL);
  CHECK(Flows(harness).size() == 1);
}

TEST_CASE("with tracking all each flow is new once, whatever its first segment") {
  Harness harness(TwoReals());
  for (uint16_t port = 1; port <= 10; ++port) {
    for (const uint8_t flags : {kAck, kSyn, kAck, kRst}) RealOf(harness, Flow(port, flags));
  }
  CHECK(harness.VipTraffic(Vip(kTracked)) == Traffic{40, 40 * 40, 10});
  CHECK(harness.RealTraffic(Vip(kTracked), 1) == Traffic{40, 40 * 40, 10});
  CHECK(harness.RealTraffic(Vip(kTracked), 2) == Traffic{});
}

TEST_CASE("with tracking all a reset is neither remembered nor a new flow, but follows a flow that is remembered") {
  Harness harness(TwoReals());
  CHECK(RealOf(harness, Flow(1, kRst)) == 1);
  CHECK(RealOf(harness, Flow(1, kRst | kAck)) == 1);
  CHECK(Flows(harness).empty());
  CHECK(harness.VipTraffic(Vip(kTracked)) == Traffic{2, 2 * 40, 0});
  CHECK(RealOf(harness, Flow(2)) == 1);
  harness.SetRing(Vip(kTracked), RingOf({2, 2, 2}));
  CHECK(RealOf(harness, Flow(2, kRst)) == 1);
  CHECK(RealOf(harness, Flow(1, kRst)) == 2);
}

TEST_CASE("with tracking none new flows are the segments with SYN and neither ACK nor RST, and UDP has none") {
  Harness harness(TwoReals(Tracking::kNone));
  for (const int flags :
       {int{kSyn}, kSyn | kAck, int{kAck}, kSyn | kFin, kSyn | 0xc0, int{kRst}, kSyn | kRst, 0, 0xff}) {
    RealOf(harness, Flow(1, static_cast<uint8_t>(flags)));
  }
  CHECK(harness.VipTraffic(Vip(kTracked)) == Traffic{9, 9 * 40, 3});
  RealOf(harness, Flow6(1));
  CHECK(harness.VipTraffic(Vip(kTracked6)).new_flows == 0);
}

TEST_CASE("a packet that is not sent is not counted as traffic, but its flow is remembered once its real is known") {
  Harness harness(MakePlan({
      {.vip = "203.0.113.10:443/tcp",
       .reals = {{.address = "10.0.0.11", .resolved = false}},
       .tracking = Tracking::kAll},
      {.vip = "203.0.113.11:443/tcp",
       .reals = {{.address = "10.0.0.11", .mtu_bytes = 100}},
       .tracking = Tracking::kAll},
      {.vip = "203.0.113.12:443/tcp", .reals = {{"10.0.0.11"}}, .tracking = Tracking::kAll},
  }));
  CHECK(harness.Run(BuildFrame({.tcp_flags = kSyn})).verdict == VERDICT_DROP_NO_NEXT_HOP);
  CHECK(harness.Run(BuildFrame({.destination = "203.0.113.11", .payload_bytes = 200})).verdict == VERDICT_DROP_TOO_BIG);
  CHECK(harness.RunWithoutHeadroom(BuildFrame({.destination = "203.0.113.12"})) == VERDICT_DROP_NO_HEADROOM);
  CHECK(harness.Run(BuildFrame({.destination = "203.0.113.12", .ip_options = Bytes(4, 1)})).verdict ==
        VERDICT_DROP_IP_OPTIONS);
  CHECK(Flows(harness).size() == 3);
  for (const auto& [key, vip] : harness.plan().vips) {
    CHECK(harness.VipTraffic(key) == Traffic{});
    CHECK(harness.RealTraffic(key, 1) == Traffic{});
  }
}

TEST_CASE("a flow whose real lost its next hop stays with it and is dropped until it has one") {
  Harness harness(TwoReals());
  CHECK(RealOf(harness, Flow(1)) == 1);
  harness.SetRing(Vip(kTracked), RingOf({2, 2, 2}));
  harness.SetReal(Vip(kTracked), 1, MakeReal({.address = "10.0.0.11", .resolved = false}));
  CHECK(harness.Run(BuildFrame(Flow(1))).verdict == VERDICT_DROP_NO_NEXT_HOP);
  harness.SetReal(Vip(kTracked), 1, MakeReal({.address = "10.0.0.11"}));
  CHECK(RealOf(harness, Flow(1)) == 1);
}

TEST_CASE("two VIPs with the same client and ports are two flows") {
  const Plan plan = MakePlan({
      {.vip = "203.0.113.10:443/tcp",
       .reals = {{"10.0.0.11"}, {"10.0.0.12"}},
       .tracking = Tracking::kAll,
       .ring = {1, 1, 1}},
      {.vip = "203.0.113.11:443/tcp",
       .reals = {{"10.0.0.11"}, {"10.0.0.12"}},
       .tracking = Tracking::kAll,
       .ring = {2, 2, 2}},
  });
  Harness harness(plan);
  CHECK(RealOf(harness, {.destination = "203.0.113.10"}) == 1);
  CHECK(RealOf(harness, {.destination = "203.0.113.11"}) == 2);
  CHECK(RealOf(harness, {.destination = "203.0.113.10"}) == 1);
  CHECK(Flows(harness).size() == 2);
}

}  // namespace
}  // namespace shunt::test

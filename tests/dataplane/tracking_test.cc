// SPDX-License-Identifier: Apache-2.0
// Which real serves a packet, and what is remembered of it: the table of bpf/README.md, "Which real", row by row on the
// program, with the model beside it. Not here: flows that cannot be remembered (tracking_refusal_test.cc).
#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <utility>

#include "tests/dataplane/flow_memory.h"

namespace shunt::test {
namespace {

constexpr std::string_view kTcpVip = "203.0.113.10:443/tcp";
constexpr std::string_view kTcp6Vip = "[2001:db8:1::10]:443/tcp";
constexpr std::string_view kUdpVip = "203.0.113.11:443/udp";
constexpr std::string_view kQuicVip = "203.0.113.12:443/udp";

constexpr RingSlot kStable{.current_real = 2};
constexpr RingSlot kMoving{.current_real = 2, .previous_real = 1};
constexpr RingSlot kHeld{.current_real = 2, .previous_real = 1, .hold = true};
constexpr RingSlot kSettled{.current_real = 2, .previous_real = 2};
constexpr RingSlot kLeaving{.current_real = 0, .previous_real = 1};

// Every VIP's one slot is `slot`; real 3 is not resolved.
Plan PlanWith(const RingSlot& slot, Tracking tracking = Tracking::kMoving) {
  std::vector<VipSpec> vips;
  for (const std::string_view vip : {kTcpVip, kTcp6Vip, kUdpVip, kQuicVip}) {
    vips.push_back({.vip = vip,
                    .reals = {{"10.0.0.11"}, {"10.0.0.12"}, {.address = "10.0.0.13", .resolved = false}, {"10.0.0.14"}},
                    .tracking = tracking,
                    .slots = {slot},
                    .quic = vip == kQuicVip});
  }
  return MakePlan(vips);
}

PacketSpec Tcp(uint8_t flags, uint16_t source_port = 40000) { return {.source_port = source_port, .tcp_flags = flags}; }
PacketSpec Udp(Bytes payload = {1}) {
  return {.destination = "203.0.113.11", .protocol = kUdp, .payload = std::move(payload)};
}
PacketSpec Quic(Bytes payload) {
  return {.destination = "203.0.113.12", .protocol = kUdp, .payload = std::move(payload)};
}
const Bytes kInitial = FromHex("c0 00000001 00 00 00");
const Bytes kHandshake = FromHex("e0 00000001 00 00 00");
const Bytes kShort = FromHex("40 00000001 00 00 00");

// The index of the real that a packet was sent to; 0 if there was none.
uint16_t RealOf(Harness& harness, const PacketSpec& packet) {
  const FrameResult result = harness.Run(BuildFrame(packet));
  if (result.verdict == VERDICT_DROP_NO_REAL) return 0;
  REQUIRE(NameOf(result.verdict) == "TX_ENCAPSULATED");
  return static_cast<uint16_t>(result.frame.at(33) - 10);
}

// Where the only remembered flow goes, and whether it is confirmed.
struct Remembered {
  uint16_t real_index = 0;
  bool confirmed = false;
  bool operator==(const Remembered&) const = default;
};

Remembered TheFlow(Harness& harness) {
  CheckSameMemory(harness);
  const auto entries = FlowEntries(harness);
  REQUIRE(entries.size() == 1);
  return {entries.front().flow.real_index, entries.front().confirmed};
}

bool NothingIsRemembered(Harness& harness) {
  CheckSameMemory(harness);
  return FlowEntries(harness).empty();
}

void SetSlot(Harness& harness, const RingSlot& slot) {
  for (const std::string_view vip : {kTcpVip, kTcp6Vip, kUdpVip, kQuicVip}) harness.SetSlots(Vip(vip), {slot});
}

uint64_t Refused(Harness& harness) { return RefusalsOf(harness, Vip(kTcpVip)).count; }

TEST_CASE("a stable slot serves from its current real, and the flow table is neither asked nor written") {
  Harness harness(PlanWith(kStable));
  for (const uint8_t flags : {kSyn, kAck, kRst}) CHECK(RealOf(harness, Tcp(flags)) == 2);
  CHECK(RealOf(harness, Udp()) == 2);
  CHECK(RealOf(harness, Quic(kInitial)) == 2);
  CHECK(NothingIsRemembered(harness));
  SetSlot(harness, kMoving);
  CHECK(RealOf(harness, Tcp(kAck)) == 1);
  SetSlot(harness, kStable);
  CHECK(RealOf(harness, Tcp(kAck)) == 2);
  CHECK(TheFlow(harness) == Remembered{1, true});
}

TEST_CASE("moving, a packet that opens a flow: it goes to the current real, is remembered, and stays there") {
  Harness harness(PlanWith(kMoving));
  CHECK(RealOf(harness, Tcp(kSyn)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, false});
  CHECK(RealOf(harness, Tcp(kSyn)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, false});
  CHECK(RealOf(harness, Tcp(kAck)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, true});
}

TEST_CASE("moving, any other packet: it goes to the previous real, is remembered, and a repeated SYN cannot move it") {
  Harness harness(PlanWith(kMoving));
  for (const int flags : {int{kAck}, kSyn | kAck, 0}) {
    CHECK(RealOf(harness, Tcp(static_cast<uint8_t>(flags), static_cast<uint16_t>(1000 + flags))) == 1);
    CHECK(RealOf(harness, Tcp(kSyn, static_cast<uint16_t>(1000 + flags))) == 1);
  }
  CheckSameMemory(harness);
  CHECK(FlowEntries(harness).size() == 3);
  for (const FlowEntry& entry : FlowEntries(harness)) CHECK((entry.flow.real_index == 1 && entry.confirmed));
}

TEST_CASE("a packet that resets an unknown flow goes where the flow did and is not remembered, which is no refusal") {
  Harness harness(PlanWith(kMoving));
  for (const RingSlot& slot : {kMoving, kHeld, kLeaving}) {
    SetSlot(harness, slot);
    CHECK(RealOf(harness, Tcp(kRst)) == 1);
    CHECK(RealOf(harness, Tcp(kRst | kAck)) == 1);
    CHECK(RealOf(harness, Tcp(kRst | kSyn)) == 1);
    CHECK(NothingIsRemembered(harness));
    CHECK(Refused(harness) == 0);
  }
}

TEST_CASE("tracking all: a packet that resets an unknown flow is not remembered, any other is, on the current real") {
  Harness harness(PlanWith(kMoving, Tracking::kAll));
  CHECK(RealOf(harness, Tcp(kRst)) == 2);
  CHECK(NothingIsRemembered(harness));
  CHECK(RealOf(harness, Tcp(kSyn)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, false});
  SetSlot(harness, kLeaving);
  CHECK(RealOf(harness, Tcp(kAck)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, true});
  CHECK(RealOf(harness, Tcp(kAck, 1)) == 0);
}

TEST_CASE("moving and held: every miss goes to the previous real and is remembered") {
  Harness harness(PlanWith(kHeld));
  CHECK(RealOf(harness, Tcp(kSyn, 1)) == 1);
  CHECK(TheFlow(harness) == Remembered{1, false});
  CHECK(RealOf(harness, Tcp(kAck, 2)) == 1);
  CHECK(RealOf(harness, Udp()) == 1);
  CHECK(RealOf(harness, Quic(kInitial)) == 1);
  CheckSameMemory(harness);
  CHECK(FlowEntries(harness).size() == 4);
  SetSlot(harness, kMoving);
  CHECK(RealOf(harness, Tcp(kSyn, 1)) == 1);
  CHECK(RealOf(harness, Tcp(kSyn, 3)) == 2);
}

TEST_CASE("settled: a remembered flow stays where it is, a miss goes to the current real and is not remembered") {
  Harness harness(PlanWith(kMoving));
  CHECK(RealOf(harness, Tcp(kAck, 1)) == 1);
  SetSlot(harness, kSettled);
  CHECK(RealOf(harness, Tcp(kAck, 1)) == 1);
  CHECK(RealOf(harness, Tcp(kSyn, 1)) == 1);
  for (const uint8_t flags : {kSyn, kAck, kRst}) CHECK(RealOf(harness, Tcp(flags, 2)) == 2);
  CHECK(TheFlow(harness) == Remembered{1, true});
  CHECK(Refused(harness) == 0);
}

TEST_CASE("moving without a current real: old flows stay, and a packet that opens a flow is dropped") {
  Harness harness(PlanWith(kLeaving));
  CHECK(RealOf(harness, Tcp(kSyn, 1)) == 0);
  CHECK(RealOf(harness, Quic(kInitial)) == 0);
  CHECK(NothingIsRemembered(harness));
  CHECK(Refused(harness) == 0);
  CHECK(RealOf(harness, Tcp(kAck, 1)) == 1);
  CHECK(TheFlow(harness) == Remembered{1, true});
  CHECK(RealOf(harness, Tcp(kSyn, 1)) == 1);
  CHECK(RealOf(harness, Quic(kShort)) == 1);
  CHECK(RealOf(harness, Udp()) == 1);  // does not tell which packets open a flow
  CheckSameMemory(harness);
  CHECK(FlowEntries(harness).size() == 3);
}

TEST_CASE("plain UDP has no opening packets told apart: each goes to the current real unless the slot is held") {
  Harness harness(PlanWith(kMoving));
  CHECK(RealOf(harness, Udp()) == 2);
  CHECK(TheFlow(harness) == Remembered{2, true});
  CHECK(RealOf(harness, Udp(kInitial)) == 2);
  harness.SetSlots(Vip(kUdpVip), {kHeld});
  CHECK(RealOf(harness, Udp()) == 2);
  CHECK(TheFlow(harness) == Remembered{2, true});
}

TEST_CASE("QUIC: Initial and 0-RTT packets and those of unknown versions open a flow, and no other does") {
  const struct {
    const char* payload;
    bool opens;
  } packets[] = {
      {"c0 00000001", true},  {"df 00000001", true},      // version 1: Initial, 0-RTT
      {"e0 00000001", false}, {"f0 00000001 00", false},  // Handshake, Retry
      {"80 00000001", true},                              // without the fixed bit
      {"d0 6b3343cf", true},  {"e0 6b3343cf", true},      // version 2: Initial, 0-RTT
      {"c0 6b3343cf", false}, {"f0 6b3343cf", false},     // Retry, Handshake
      {"c0 00000000", true},  {"f0 0a1a2a3a 00", true},   // another version
      {"40 00000001", false}, {"7f ffffffff", false},     // short headers
      {"c0 000000", false},   {"c0", false},              // too short
  };
  Harness harness(PlanWith(kMoving));
  const Plan nothing;
  uint64_t new_flows = 0;
  for (const auto& [payload, opens] : packets) {
    INFO(payload);
    CHECK(RealOf(harness, Quic(FromHex(payload))) == (opens ? 2 : 1));
    CHECK(TheFlow(harness) == (opens ? Remembered{2, false} : Remembered{1, true}));
    new_flows += opens ? 1 : 0;
    CHECK(harness.VipTraffic(Vip(kQuicVip)).new_flows == new_flows);
    REQUIRE(harness.kernel().ForgetFlowsExcept(nothing));
    harness.tables().flows.clear();
  }
}

TEST_CASE("QUIC: bytes behind the packet are no part of it") {
  Harness harness(PlanWith(kMoving));
  Bytes frame = BuildFrame(Quic(FromHex("c0 000000")));
  frame.push_back(1);  // would make it version 1
  CHECK(harness.Run(frame).frame.at(33) == 11);
  CHECK(TheFlow(harness) == Remembered{1, true});
}

TEST_CASE("QUIC: a migrated flow is confirmed by the packet behind its first") {
  Harness harness(PlanWith(kMoving));
  CHECK(RealOf(harness, Quic(kInitial)) == 2);
  CHECK(RealOf(harness, Quic(kInitial)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, false});
  CHECK(RealOf(harness, Quic(kHandshake)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, true});
}

TEST_CASE("a flow whose client says FIN or RST is closing until it sends data again") {
  for (const uint8_t flags : {uint8_t{kFin | kAck}, uint8_t{kRst}}) {
    Harness harness(PlanWith(kMoving));
    const auto is_closing = [&harness] {
      CheckSameMemory(harness);
      return FlowEntries(harness).front().closing;
    };
    RealOf(harness, {.tcp_flags = kSyn, .payload_bytes = 0});
    RealOf(harness, {.tcp_flags = kAck, .payload_bytes = 10});
    CHECK_FALSE(is_closing());
    RealOf(harness, {.tcp_flags = flags, .payload_bytes = 10});
    CHECK(is_closing());
    RealOf(harness, {.tcp_flags = kAck, .payload_bytes = 0});
    CHECK(is_closing());
    RealOf(harness, {.tcp_flags = kAck, .payload_bytes = 1});
    CHECK_FALSE(is_closing());
  }
}

// The flow was remembered on `old_real` and has ended.
void EndedFlow(Harness& harness, uint16_t old_real) {
  SetSlot(harness, {.current_real = 2, .previous_real = old_real});
  for (const uint8_t flags : {kAck, uint8_t{kFin | kAck}, kAck}) REQUIRE(RealOf(harness, Tcp(flags)) == old_real);
  REQUIRE(TheFlow(harness) == Remembered{old_real, true});
}

TEST_CASE("a client that comes back to the port of a flow that has ended opens another flow: it goes as new ones do") {
  const struct {
    RingSlot slot;
    Remembered now;
  } cases[] = {{kMoving, {2, false}},
               {{.current_real = 2, .previous_real = 4}, {2, false}},
               {{.current_real = 2, .previous_real = 4, .hold = true}, {4, false}}};
  for (const auto& [slot, now] : cases) {
    Harness harness(PlanWith(kMoving));
    EndedFlow(harness, 1);
    SetSlot(harness, slot);
    const uint64_t before = harness.VipTraffic(Vip(kTcpVip)).new_flows;
    CHECK(RealOf(harness, Tcp(kSyn)) == now.real_index);
    CHECK(TheFlow(harness) == now);
    CHECK(harness.VipTraffic(Vip(kTcpVip)).new_flows == before + 1);
    CHECK(RealOf(harness, Tcp(kSyn)) == now.real_index);  // it is not closing any more
    CHECK(RealOf(harness, Tcp(kAck)) == now.real_index);
    CHECK(harness.VipTraffic(Vip(kTcpVip)).new_flows == before + 1);
  }
}

TEST_CASE("settled: a flow that has ended is forgotten when its client comes back to its port") {
  Harness harness(PlanWith(kMoving));
  EndedFlow(harness, 1);
  SetSlot(harness, kSettled);
  CHECK(RealOf(harness, Tcp(kAck)) == 1);
  CHECK(RealOf(harness, Tcp(kSyn | kAck)) == 1);
  CHECK(RealOf(harness, Tcp(kSyn)) == 2);
  CHECK(NothingIsRemembered(harness));
  CHECK(RealOf(harness, Tcp(kAck)) == 2);
  CHECK(NothingIsRemembered(harness));
}

TEST_CASE("no real takes new flows: neither does the one of a flow that has ended") {
  Harness harness(PlanWith(kMoving));
  EndedFlow(harness, 1);
  SetSlot(harness, kLeaving);
  CHECK(RealOf(harness, Tcp(kSyn)) == 0);
  CHECK(RealOf(harness, Tcp(kAck)) == 1);
}

TEST_CASE("tracking all: a flow that has ended is replaced by the one its client opens from the same port") {
  Harness harness(PlanWith({.current_real = 1}, Tracking::kAll));
  for (const uint8_t flags : {kSyn, kAck, uint8_t{kFin | kAck}}) CHECK(RealOf(harness, Tcp(flags)) == 1);
  SetSlot(harness, kStable);
  CHECK(RealOf(harness, Tcp(kAck)) == 1);
  CHECK(RealOf(harness, Tcp(kSyn)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, false});
  CHECK(RealOf(harness, Tcp(kAck)) == 2);
}

TEST_CASE("an old flow that is first seen when it ends is remembered as closing") {
  Harness harness(PlanWith(kMoving));
  CHECK(RealOf(harness, {.tcp_flags = kFin | kAck}) == 1);
  CheckSameMemory(harness);
  CHECK((FlowEntries(harness).front().confirmed && FlowEntries(harness).front().closing));
}

TEST_CASE("an entry whose real is absent is a miss and is replaced by its own flow") {
  Harness harness(PlanWith({.current_real = 1, .previous_real = 2}));
  CHECK(RealOf(harness, Tcp(kSyn)) == 1);
  SetSlot(harness, {.current_real = 1, .previous_real = 1});
  harness.ClearReal(Vip(kTcpVip), 1);
  CHECK(RealOf(harness, Tcp(kAck)) == 0);  // the ring does not know yet
  CHECK(TheFlow(harness) == Remembered{1, false});
  SetSlot(harness, {.current_real = 3, .previous_real = 2});
  CHECK(RealOf(harness, Tcp(kAck)) == 2);
  CHECK(TheFlow(harness) == Remembered{2, true});
}

TEST_CASE("a flow is remembered before its packet is sure to leave") {
  Harness harness(PlanWith({.current_real = 3, .previous_real = 1}));
  CHECK(NameOf(harness.Run(BuildFrame(Tcp(kSyn))).verdict) == "DROP_NO_NEXT_HOP");
  CHECK(TheFlow(harness) == Remembered{3, false});
  CHECK(NameOf(harness.Run(BuildFrame(Tcp(kAck))).verdict) == "DROP_NO_NEXT_HOP");
  CHECK(TheFlow(harness) == Remembered{3, true});
  CHECK(harness.VipTraffic(Vip(kTcpVip)) == Traffic{});
}

TEST_CASE("flows over IPv6 are remembered as those over IPv4 are, and two VIPs' are told apart") {
  Harness harness(PlanWith(kMoving));
  CHECK(RealOf(harness, {.source = "2001:db8:c::7", .destination = "2001:db8:1::10", .tcp_flags = kSyn}) == 2);
  CHECK(RealOf(harness, {.source = "2001:db8:c::8", .destination = "2001:db8:1::10", .tcp_flags = kAck}) == 1);
  CHECK(RealOf(harness, Tcp(kAck)) == 1);
  CheckSameMemory(harness);
  const auto entries = FlowEntries(harness);
  REQUIRE(entries.size() == 3);
  CHECK(entries[1].flow == RememberedFlow{2, {Address("2001:db8:c::7"), 40000}, 443, 2});
  CHECK(entries[2].flow == RememberedFlow{2, {Address("2001:db8:c::8"), 40000}, 443, 1});
}

TEST_CASE("new flows are packets that open one and hit no entry, whatever the slot; plain UDP tells none") {
  Harness harness(PlanWith(kStable));
  uint64_t expected = 0;
  uint16_t port = 0;
  for (const RingSlot& slot : {kStable, kMoving, kHeld, kSettled}) {
    SetSlot(harness, slot);
    port += 10;
    for (const uint8_t flags : {kAck, kRst}) RealOf(harness, Tcp(flags, port));
    RealOf(harness, Udp());
    RealOf(harness, Quic(kShort));
    CHECK(harness.VipTraffic(Vip(kTcpVip)).new_flows == expected);
    for (int i = 0; i < 2; ++i) RealOf(harness, Tcp(kSyn, static_cast<uint16_t>(port + 1)));
    expected += slot == kMoving || slot == kHeld ? 1 : 2;
    CHECK(harness.VipTraffic(Vip(kTcpVip)).new_flows == expected);
  }
  CHECK(harness.VipTraffic(Vip(kTcpVip)) == Traffic{16, 640, expected});
  CHECK(harness.VipTraffic(Vip(kUdpVip)).new_flows == 0);
  CHECK(harness.VipTraffic(Vip(kQuicVip)).new_flows == 0);
}

}  // namespace
}  // namespace shunt::test

// SPDX-License-Identifier: Apache-2.0
// What the packet model is besides a verdict: the sentences that `shuntctl explain` shows, and the frame it asks with.
#include "userspace/dataplane/packet_model.h"

#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <string>

#include "tests/dataplane/harness.h"

namespace shunt::test {
namespace {

constexpr std::string_view kStable = "203.0.113.10:443/tcp";
constexpr std::string_view kAll = "[2001:db8:1::10]:*/udp";
constexpr std::string_view kMoving = "203.0.113.30:443/tcp";

// kMoving's one slot is `slot`; its reals are 1 (10.0.0.11) and 2 (10.0.0.12).
DataplaneTables ExplainedTables(const RingSlot& slot = {.current_real = 2, .previous_real = 1}) {
  return TablesOf(MakePlan({
      {.vip = kStable, .reals = {{"10.0.0.11"}}, .ring = {1, 1, 1, 1, 1, 1, 1}},
      {.vip = kAll,
       .reals = {{.address = "2001:db8:7::12", .interface_index = kOtherInterface, .ttl = 9}},
       .tracking = Tracking::kAll},
      {.vip = "203.0.113.20:443/tcp", .no_slots = true},
      {.vip = "203.0.113.21:443/tcp", .reals = {{.address = "10.0.0.13", .resolved = false}}},
      {.vip = "203.0.113.22:443/tcp", .reals = {{.address = "10.0.0.11", .mtu_bytes = 59}}},
      {.vip = kMoving, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .tracking = Tracking::kMoving, .slots = {slot}},
  }));
}

// "stage: sentence" a line.
std::string Explain(const DataplaneTables& tables, const Bytes& frame) {
  std::string text;
  for (const WalkStep& step : WalkFrame(tables, frame, kIngress, 2).steps) {
    text += step.stage + ": " + step.sentence + "\n";
  }
  return text;
}

// What is said of ring and flow table, a line each, without the hash.
std::string ExplainFlow(const DataplaneTables& tables, const PacketSpec& packet) {
  std::string text;
  for (const auto& [stage, sentence] : WalkFrame(tables, BuildFrame(packet), kIngress, 2).steps) {
    if (stage == "ring") text += "ring: " + sentence.substr(sentence.find("slot")) + "\n";
    if (stage == "flow table") text += "flow table: " + sentence + "\n";
  }
  return text;
}

PacketSpec ToMoving(uint8_t tcp_flags) { return {.destination = "203.0.113.30", .tcp_flags = tcp_flags}; }

FlowKey MovingFlow(const DataplaneTables& tables) {
  return {tables.vips.at(Vip(kMoving)).id, {Address("198.51.100.7"), 40000}, 443};
}

TEST_CASE("an encapsulated TCP packet is explained stage by stage") {
  auto tables = ExplainedTables();
  CHECK(Explain(tables, BuildFrame({.tcp_flags = kSyn})) ==
        "parse: IPv4 tcp 198.51.100.7:40000 → 203.0.113.10:443, 40 bytes\n"
        "vip: 203.0.113.10:443/tcp matches (exact port)\n"
        "ring: hash 0xca4f1d3c18cd1587 → slot 5 of 7 → real 10.0.0.11\n"
        "flow table: not asked: the slot is stable\n"
        "real: 10.0.0.11 by 02:00:00:00:0b:0b on interface 1, outer IPv4 10.0.0.2 → 10.0.0.11, TTL 64\n"
        "encapsulate: 40 + 20 bytes fit the MTU of 1500; a frame of 74 bytes leaves by the interface it came in by\n"
        "account: a new flow\n");
  tables.interface_names = {{kIngress, "eth0"}};
  CHECK_THAT(Explain(tables, BuildFrame({})), Catch::Contains("10.0.0.11 by 02:00:00:00:0b:0b on eth0, outer IPv4"));
}

TEST_CASE("with tracking all a flow that is not known yet and one that is are explained") {
  auto tables = ExplainedTables();
  tables.interface_names = {{kOtherInterface, "eth1"}};
  const Bytes frame = BuildFrame({.destination = "2001:db8:1::10", .protocol = kUdp, .vlan_ether_types = {0x8100}});
  const std::string first = Explain(tables, frame);
  CHECK_THAT(first, Catch::StartsWith(
                        "parse: behind a VLAN tag: IPv6 udp [2001:db8:c::7]:40000 → [2001:db8:1::10]:443, 48 bytes\n"
                        "vip: [2001:db8:1::10]:*/udp matches (any port)\n"
                        "flow table: does not know the flow\n"
                        "ring: hash 0x"));
  CHECK_THAT(first, Catch::EndsWith(" → slot 0 of 1 → real 2001:db8:7::12\n"
                                    "flow table: a new flow → 2001:db8:7::12, remembered\n"
                                    "real: 2001:db8:7::12 by 02:00:00:00:0b:12 on eth1, "
                                    "outer IPv6 2001:db8:7::2 → 2001:db8:7::12, hop limit 9\n"
                                    "encapsulate: 48 + 40 bytes fit the MTU of 1500; "
                                    "a frame of 102 bytes leaves by eth1\n"
                                    "account: a new flow\n"));
  tables.flows[{2, {Address("2001:db8:c::7"), 40000}, 443}] = {.real_index = 1};
  const std::string second = Explain(tables, frame);
  CHECK_THAT(second,
             Catch::Contains("flow table: remembers real 2001:db8:7::12\nring: not asked: the flow is remembered\n"));
  CHECK_THAT(second, !Catch::Contains("account"));
  tables.flows[{2, {Address("2001:db8:c::7"), 40000}, 443}] = {.real_index = 3};
  CHECK_THAT(Explain(tables, frame), Catch::Contains("flow table: remembers real number 3, which is gone: a miss\n"));
}

TEST_CASE("that a real is down is explained where its slot or the flow table names it") {
  auto tables = ExplainedTables();
  const VipEntry& tracked = tables.vips.at(Vip("[2001:db8:1::10]:*/udp"));
  tables.reals.at(tracked.real_base + 1).serves = false;
  tables.flows[{tracked.id, {Address("2001:db8:c::7"), 40000}, 443}] = {.real_index = 1};
  const std::string words = Explain(tables, BuildFrame({.destination = "2001:db8:1::10", .protocol = kUdp}));
  CHECK_THAT(words, Catch::Contains("flow table: remembers real 2001:db8:7::12, which is down: a miss\n"));
  CHECK_THAT(words, Catch::EndsWith("real: 2001:db8:7::12 is down\n"));
}

TEST_CASE("a moving slot is explained: from whom, to whom, and why this packet goes where it goes") {
  auto tables = ExplainedTables();
  const std::string moving = "ring: slot 0 of 1, moving from 10.0.0.11 to 10.0.0.12\n";
  const std::string unknown = "flow table: does not know the flow\n";
  CHECK(ExplainFlow(tables, ToMoving(kSyn)) == moving + unknown + "flow table: a new flow → 10.0.0.12, remembered\n");
  CHECK(ExplainFlow(tables, ToMoving(kAck)) ==
        moving + unknown + "flow table: an old flow, for this packet opens none → 10.0.0.11, remembered\n");
  CHECK(ExplainFlow(tables, ToMoving(kRst)) ==
        moving + unknown +
            "flow table: an old flow, for this packet opens none → 10.0.0.11, not remembered: it is reset\n");
  tables.has_room = false;
  CHECK(ExplainFlow(tables, ToMoving(kSyn)) ==
        moving + unknown + "flow table: a new flow, but it cannot be remembered: → 10.0.0.11\n");
  tables.has_room = true;
  tables.now_s = 104;
  tables.refusals[tables.vips.at(Vip(kMoving)).id] = {.count = 1, .last_s = 100};
  CHECK(ExplainFlow(tables, ToMoving(kSyn)) ==
        moving + unknown +
            "flow table: it stays with the previous real: a flow was refused some seconds ago → 10.0.0.11, "
            "remembered\n");
  tables.now_s = 105;
  CHECK(ExplainFlow(tables, ToMoving(kSyn)) == moving + unknown + "flow table: a new flow → 10.0.0.12, remembered\n");
  tables.flows[MovingFlow(tables)] = {.real_index = 1};
  CHECK(ExplainFlow(tables, ToMoving(kSyn)) == moving + "flow table: remembers real 10.0.0.11\n");
}

TEST_CASE("held and settled slots and those without a current real are explained") {
  const std::string unknown = "flow table: does not know the flow\n";
  CHECK(ExplainFlow(ExplainedTables({.current_real = 2, .previous_real = 1, .hold = true}), ToMoving(kSyn)) ==
        "ring: slot 0 of 1, moving from 10.0.0.11 to 10.0.0.12, held: new flows, too, go to 10.0.0.11\n" + unknown +
            "flow table: it stays with the slot's previous real for now → 10.0.0.11, remembered\n");
  CHECK(ExplainFlow(ExplainedTables({.current_real = 2, .previous_real = 2}), ToMoving(kSyn)) ==
        "ring: slot 0 of 1, settled: flows go to 10.0.0.12, but for those remembered elsewhere\n" + unknown);
  CHECK(ExplainFlow(ExplainedTables({.current_real = 0, .previous_real = 1}), ToMoving(kSyn)) ==
        "ring: slot 0 of 1, moving from 10.0.0.11: no real takes new flows\n" + unknown +
            "flow table: a new flow, and no real takes new flows\n");
  CHECK(ExplainFlow(ExplainedTables({}), ToMoving(kSyn)) ==
        "ring: slot 0 of 1 → empty\nflow table: not asked: the slot is stable\n");
  CHECK(ExplainFlow(ExplainedTables({.current_real = 3}), ToMoving(kSyn)) ==
        "ring: slot 0 of 1 → real number 3\nflow table: not asked: the slot is stable\n");
}

TEST_CASE("why a packet is not sent is the last sentence") {
  const auto tables = ExplainedTables();
  const auto last_is = [&](const PacketSpec& packet, const std::string& expected) {
    CHECK_THAT(Explain(tables, BuildFrame(packet)), Catch::EndsWith(expected + "\n"));
  };
  last_is({.destination = "203.0.113.20"}, "ring: has no slots: no real takes traffic");
  last_is({.destination = "203.0.113.21"}, "real: 10.0.0.13 has no next hop");
  last_is({.destination = "203.0.113.22"}, "encapsulate: 40 + 20 bytes exceed the MTU of 59");
  last_is({.destination_port = 80}, "vip: neither 203.0.113.10:80/tcp nor 203.0.113.10:*/tcp is a VIP");
  last_is({.protocol = kIcmp}, "vip: 203.0.113.10 is a VIP's address; ICMP is the host's");
  last_is({.protocol = 47}, "vip: 203.0.113.10 is a VIP's address; protocol 47 is the host's");
  last_is({.destination = "203.0.113.99", .protocol = kIcmp}, "vip: no VIP has the address 203.0.113.99");
  last_is({.fragment_field = 0x0002}, "vip: 203.0.113.10 is a VIP's address; it has a VIP of tcp");
  CHECK_THAT(Explain(tables, BuildFrame({.fragment_field = 0x0002})),
             Catch::Contains("no ports, 40 bytes; flawed: a fragment, at byte 16\n"));
  CHECK(Explain(tables, FromHex("ffffffffffff 02000000 00c1 0806")) ==
        "parse: EtherType 0x0806 behind 0 VLAN tags is not IP\n");
}

TEST_CASE("a walk changes no table and says what would be remembered") {
  const auto tables = ExplainedTables();
  const PacketSpec packet{.destination = "2001:db8:1::10", .protocol = kUdp, .payload_bytes = 2};
  for (const Steps steps : {Steps::kTell, Steps::kOmit}) {
    const Walk walk = WalkFrame(tables, BuildFrame(packet), kIngress, 2, steps);
    CHECK(walk.verdict == VERDICT_REDIRECT_ENCAPSULATED);
    CHECK(walk.steps.empty() == (steps == Steps::kOmit));
    CHECK(walk.vip == Vip(kAll));
    CHECK(walk.vip_id == 2);
    CHECK(walk.source == Endpoint{Address("2001:db8:c::7"), 40000});
    CHECK(walk.destination_port == 443);
    CHECK(walk.asks_flow_table);
    CHECK(walk.real_index == 1);
    CHECK(walk.real_entry == tables.vips.at(*walk.vip).real_base + 1);
    CHECK(walk.effect == FlowEffect::kRemember);
    CHECK(walk.confirms);
    CHECK(walk.inner_bytes == 50);
    CHECK(walk.counts_traffic);
    CHECK(walk.is_new_flow);
  }
}

TEST_CASE("what a walk leaves behind is an entry, its second, its confirmation, or a refusal") {
  auto tables = ExplainedTables();
  const FlowKey flow = MovingFlow(tables);
  const uint32_t id = std::get<0>(flow);
  const auto run = [&](uint8_t tcp_flags, uint32_t now_s) {
    tables.now_s = now_s;
    const Walk walk = WalkFrame(tables, BuildFrame(ToMoving(tcp_flags)), kIngress, 2, Steps::kOmit);
    Apply(walk, tables);
    return walk.effect;
  };
  tables.has_allowance = false;
  CHECK(run(kSyn, 10) == FlowEffect::kRefuse);
  CHECK(run(kAck, 11) == FlowEffect::kRefuse);
  CHECK(run(kRst, 12) == FlowEffect::kNone);
  CHECK(tables.flows.empty());
  CHECK(tables.refusals.at(id) == RefusalCount{.count = 2, .last_s = 11});
  tables.has_allowance = true;
  CHECK(run(kSyn, 20) == FlowEffect::kRemember);
  CHECK(tables.flows.at(flow) == TrackedFlow{.real_index = 2, .seen_s = 20, .confirmed = false, .changes = 1});
  CHECK(run(kSyn, 23) == FlowEffect::kTouch);  // the second may lag behind a little
  CHECK(tables.flows.at(flow) == TrackedFlow{.real_index = 2, .seen_s = 20, .confirmed = false, .changes = 1});
  CHECK(run(kSyn, 24) == FlowEffect::kTouch);
  CHECK(tables.flows.at(flow) == TrackedFlow{.real_index = 2, .seen_s = 24, .confirmed = false, .changes = 2});
  CHECK(run(kAck, 25) == FlowEffect::kTouch);
  CHECK(tables.flows.at(flow) == TrackedFlow{.real_index = 2, .seen_s = 25, .confirmed = true, .changes = 3});
  CHECK(run(kAck, 28) == FlowEffect::kTouch);
  CHECK(tables.flows.at(flow) == TrackedFlow{.real_index = 2, .seen_s = 25, .confirmed = true, .changes = 3});
  CHECK(run(kSyn, 29) == FlowEffect::kTouch);
  CHECK(tables.flows.at(flow) == TrackedFlow{.real_index = 2, .seen_s = 29, .confirmed = true, .changes = 4});
  tables.reals.erase(tables.vips.at(Vip(kMoving)).real_base + 2);
  tables.has_room = tables.has_allowance = false;  // the flow's own old entry is enough
  CHECK(run(kAck, 30) == FlowEffect::kRemember);
  CHECK(tables.flows.at(flow) == TrackedFlow{.real_index = 1, .seen_s = 30, .confirmed = true, .changes = 5});
}

TEST_CASE(
    "a packet that opens a flow where another has ended is explained, and what was remembered goes or is replaced") {
  for (const RingSlot& slot :
       {RingSlot{.current_real = 2, .previous_real = 1}, RingSlot{.current_real = 2, .previous_real = 2}}) {
    auto tables = ExplainedTables(slot);
    tables.has_room = tables.has_allowance = false;
    tables.flows[MovingFlow(tables)] = {.real_index = 1, .confirmed = true, .closing = true};
    CHECK(WalkFrame(tables, BuildFrame(ToMoving(kAck)), kIngress, 2).effect == FlowEffect::kTouch);
    CHECK_THAT(ExplainFlow(tables, ToMoving(kSyn)),
               Catch::Contains("flow table: remembers real 10.0.0.11 for a flow that has ended: a miss"));
    const Walk walk = WalkFrame(tables, BuildFrame(ToMoving(kSyn)), kIngress, 2);
    const bool settled = slot.previous_real == slot.current_real;
    CHECK(walk.effect == (settled ? FlowEffect::kForget : FlowEffect::kRemember));
    CHECK(walk.real_index == 2);
    CHECK(walk.is_new_flow);
    Apply(walk, tables);
    CHECK(tables.flows.empty() == settled);
  }
}

Plan FirstFramePlan() {
  return MakePlan({{.vip = kStable, .reals = {{"10.0.0.11"}}},
                   {.vip = kAll, .reals = {{.address = "2001:db8:7::12", .interface_index = kOtherInterface}}}});
}

TEST_CASE("the first frame of a flow is valid, with right checksums, and goes where its flow goes") {
  Harness harness(FirstFramePlan());
  const struct {
    const char* source;
    const char* destination;
    Protocol protocol;
    uint32_t verdict;
  } flows[] = {
      {"198.51.100.7:40000", "203.0.113.10:443", Protocol::kTcp, VERDICT_TX_ENCAPSULATED},
      {"198.51.100.7:40000", "203.0.113.10:443", Protocol::kUdp, VERDICT_PASS_NOT_VIP},
      {"[2001:db8:c::7]:40000", "[2001:db8:1::10]:443", Protocol::kUdp, VERDICT_REDIRECT_ENCAPSULATED},
      {"[2001:db8:c::7]:40000", "[2001:db8:1::10]:443", Protocol::kTcp, VERDICT_PASS_NOT_VIP},
      {"198.51.100.7:40000", "[2001:db8:1::10]:443", Protocol::kUdp, VERDICT_DROP_MAPPED_ADDRESS},
  };
  for (const auto& flow : flows) {
    const Bytes frame =
        FirstFrame(Endpoint::Parse(flow.source).value(), Endpoint::Parse(flow.destination).value(), flow.protocol);
    INFO(flow.source << " to " << flow.destination << "/" << ToString(flow.protocol));
    CHECK(NameOf(harness.Run(frame).verdict) == NameOf(flow.verdict));
    const bool ipv4 = Get16(frame, 12) == 0x0800;
    const bool tcp = flow.protocol == Protocol::kTcp;
    CHECK(frame.size() == (ipv4 ? 34u : 54u) + (tcp ? 20u : 16u));
    if (ipv4) CHECK(ChecksumResidue(std::span(frame).subspan(14, 20)) == 0);
    // The pseudo header, of either family, has the sum of addresses, protocol and length (RFC 793, RFC 8200).
    const size_t addresses = ipv4 ? 26 : 22;
    Bytes summed = {0, static_cast<uint8_t>(flow.protocol), 0, static_cast<uint8_t>(tcp ? 20 : 16)};
    summed.insert(summed.end(), frame.begin() + static_cast<std::ptrdiff_t>(addresses), frame.end());
    CHECK(ChecksumResidue(summed) == 0);
    if (tcp) CHECK(int{frame[(ipv4 ? 34 : 54) + 13]} == int{kSyn});
  }
}

}  // namespace
}  // namespace shunt::test

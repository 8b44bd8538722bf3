// SPDX-License-Identifier: Apache-2.0
// What the packet model is besides a verdict: the sentences that `shuntctl explain` shows, and the frame it asks with.
#include "userspace/dataplane/packet_model.h"

#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <string>

#include "tests/dataplane/harness.h"

namespace shunt::test {
namespace {

Plan ExplainedPlan() {
  return MakePlan({
      {.vip = "203.0.113.10:443/tcp", .reals = {{"10.0.0.11"}}, .ring = {1, 1, 1, 1, 1, 1, 1}},
      {.vip = "[2001:db8:1::10]:*/udp",
       .reals = {{.address = "2001:db8:7::12", .interface_index = kOtherInterface, .ttl = 9}},
       .tracking = Tracking::kAll},
      {.vip = "203.0.113.20:443/tcp", .no_slots = true},
      {.vip = "203.0.113.21:443/tcp", .reals = {{.address = "10.0.0.13", .resolved = false}}},
      {.vip = "203.0.113.22:443/tcp", .reals = {{.address = "10.0.0.11", .mtu_bytes = 59}}},
  });
}

// "stage: sentence" a line.
std::string Explain(const DataplaneTables& tables, const Bytes& frame) {
  std::string text;
  for (const WalkStep& step : WalkFrame(tables, frame, kIngress, 2).steps) {
    text += step.stage + ": " + step.sentence + "\n";
  }
  return text;
}

TEST_CASE("an encapsulated TCP packet is explained stage by stage") {
  const auto tables = TablesOf(ExplainedPlan());
  CHECK(Explain(tables, BuildFrame({.tcp_flags = kSyn})) ==
        "parse: IPv4 tcp 198.51.100.7:40000 → 203.0.113.10:443, 40 bytes\n"
        "vip: 203.0.113.10:443/tcp matches (exact port)\n"
        "flow table: not asked: tracking is none\n"
        "ring: hash 0xc146c847085031fe → slot 5 of 7 → real 10.0.0.11\n"
        "real: 10.0.0.11 by 02:00:00:00:0b:0b dev ifindex 1, outer IPv4 10.0.0.2 → 10.0.0.11, TTL 64\n"
        "encapsulate: 40 + 20 bytes fit the MTU of 1500; a frame of 74 bytes leaves by the interface it came in by\n"
        "account: a new flow (SYN)\n");
}

TEST_CASE("a flow that is not known yet and one that is are explained") {
  auto tables = TablesOf(ExplainedPlan());
  const Bytes frame = BuildFrame({.destination = "2001:db8:1::10", .protocol = kUdp, .vlan_ether_types = {0x8100}});
  const std::string first = Explain(tables, frame);
  CHECK_THAT(first, Catch::StartsWith(
                        "parse: behind a VLAN tag: IPv6 udp [2001:db8:c::7]:40000 → [2001:db8:1::10]:443, 48 bytes\n"
                        "vip: [2001:db8:1::10]:*/udp matches (any port)\n"
                        "flow table: does not know the flow\n"
                        "ring: hash 0x"));
  CHECK_THAT(first, Catch::EndsWith(
                        "outer IPv6 2001:db8:7::2 → 2001:db8:7::12, hop limit 9\n"
                        "encapsulate: 48 + 40 bytes fit the MTU of 1500; a frame of 102 bytes leaves by interface 2\n"
                        "account: a new flow; the flow table remembers it\n"));
  tables.flows[{2, {Address("2001:db8:c::7"), 40000}, 443}] = 1;
  const std::string second = Explain(tables, frame);
  CHECK_THAT(second,
             Catch::Contains("flow table: remembers real 2001:db8:7::12\nring: not asked: the flow is remembered\n"));
  CHECK_THAT(second, !Catch::Contains("account"));
  tables.flows[{2, {Address("2001:db8:c::7"), 40000}, 443}] = 3;
  CHECK_THAT(Explain(tables, frame), Catch::Contains("flow table: remembers real number 3, which is gone: a miss\n"));
}

TEST_CASE("why a packet is not sent is the last sentence") {
  const auto tables = TablesOf(ExplainedPlan());
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
  const auto tables = TablesOf(ExplainedPlan());
  const PacketSpec packet{.destination = "2001:db8:1::10", .protocol = kUdp, .payload_bytes = 2};
  for (int i = 0; i < 2; ++i) {
    const Walk walk = WalkFrame(tables, BuildFrame(packet), kIngress, 2);
    CHECK(walk.verdict == VERDICT_REDIRECT_ENCAPSULATED);
    CHECK(walk.vip == Vip("[2001:db8:1::10]:*/udp"));
    CHECK(walk.vip_id == 2);
    CHECK(walk.real_index == 1);
    CHECK(walk.real_entry == tables.vips.at(*walk.vip).real_base + 1);
    CHECK(walk.inner_bytes == 50);
    CHECK(walk.counts_traffic);
    CHECK(walk.is_new_flow);
    CHECK(walk.remember);
    CHECK(walk.source == Endpoint{Address("2001:db8:c::7"), 40000});
    CHECK(walk.destination_port == 443);
  }
}

TEST_CASE("the first frame of a flow is valid, with right checksums, and goes where its flow goes") {
  Harness harness(ExplainedPlan());
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

// SPDX-License-Identifier: Apache-2.0
// The bytes that leave. What is expected is written out here, from RFC 791, 2003, 2473, 6040 and 8200 and, where the
// flow hash shows, from a calculation of it outside this project; the code under test computes none of it.
#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "tests/dataplane/harness.h"

namespace shunt::test {
namespace {

Plan EncapsulationPlan() {
  return MakePlan({
      {.vip = "203.0.113.10:443/tcp", .reals = {{"10.0.0.11"}}},
      {.vip = "203.0.113.10:53/udp", .reals = {{"2001:db8:7::12"}}},
      {.vip = "[2001:db8:1::10]:443/tcp", .reals = {{"10.0.0.11"}}},
      {.vip = "[2001:db8:1::10]:53/udp", .reals = {{"2001:db8:7::12"}}},
      {.vip = "203.0.113.10:8443/tcp", .reals = {{.address = "10.0.0.11", .source = "10.9.0.0", .spread_bits = 16}}},
      {.vip = "[2001:db8:1::10]:8443/tcp",
       .reals = {{.address = "2001:db8:7::12", .source = "2001:db8:9::", .spread_bits = 32, .ttl = 255}}},
      {.vip = "203.0.113.10:8444/tcp", .reals = {{.address = "10.0.0.11", .interface_index = 77}}},
      {.vip = "203.0.113.10:9000/udp", .reals = {{.address = "10.0.0.11", .mtu_bytes = 65535}}},
      {.vip = "203.0.113.10:9001/udp", .reals = {{.address = "2001:db8:7::12", .mtu_bytes = 9000}}},
  });
}

// What stands behind the Ethernet header and tags of a frame.
Bytes IpPacketOf(const Bytes& frame, size_t ip_offset) {
  return Bytes(frame.begin() + static_cast<std::ptrdiff_t>(ip_offset), frame.end());
}

Bytes Tail(const PacketSpec& packet) { return IpPacketOf(BuildFrame(packet), IpOffset(packet)); }

// DSCP EF and ECT(1), 20 bytes of payload.
PacketSpec Tcp(std::string_view destination) { return {.destination = destination, .tos = 0xb9, .payload_bytes = 0}; }
PacketSpec Udp(std::string_view destination) {
  return {.destination = destination, .protocol = kUdp, .destination_port = 53, .tos = 0xb9, .payload_bytes = 12};
}

TEST_CASE("IPv4 in IPv4 is encapsulated byte for byte as RFC 2003 says") {
  Harness harness(EncapsulationPlan());
  const PacketSpec packet = Tcp("203.0.113.10");
  const FrameResult result = harness.Run(BuildFrame(packet));
  CHECK(result.verdict == VERDICT_TX_ENCAPSULATED);
  CHECK(result.frame == Concat({FromHex("02000000 0b0b 02000000 0001 0800"
                                        "45 b9 003c 0000 4000 40 04 25f9 0a000002 0a00000b"),
                                Tail(packet)}));
}

TEST_CASE("IPv6 in IPv4 is encapsulated byte for byte, as protocol 41") {
  Harness harness(EncapsulationPlan());
  const PacketSpec packet = Tcp("2001:db8:1::10");
  const FrameResult result = harness.Run(BuildFrame(packet));
  CHECK(result.verdict == VERDICT_TX_ENCAPSULATED);
  CHECK(result.frame == Concat({FromHex("02000000 0b0b 02000000 0001 0800"
                                        "45 b9 0050 0000 4000 40 29 25c0 0a000002 0a00000b"),
                                Tail(packet)}));
}

TEST_CASE("IPv4 in IPv6 is encapsulated byte for byte as RFC 2473 says, with a flow label from the flow hash") {
  Harness harness(EncapsulationPlan());
  const PacketSpec packet = Udp("203.0.113.10");
  const FrameResult result = harness.Run(BuildFrame(packet));
  CHECK(result.verdict == VERDICT_TX_ENCAPSULATED);
  CHECK(result.frame == Concat({FromHex("02000000 0b12 02000000 0001 86dd"
                                        "6b9534bf 0028 04 40"
                                        "20010db8 00070000 00000000 00000002"
                                        "20010db8 00070000 00000000 00000012"),
                                Tail(packet)}));
}

TEST_CASE("IPv6 in IPv6 is encapsulated byte for byte") {
  Harness harness(EncapsulationPlan());
  const PacketSpec packet = Udp("2001:db8:1::10");
  const FrameResult result = harness.Run(BuildFrame(packet));
  CHECK(result.verdict == VERDICT_TX_ENCAPSULATED);
  CHECK(result.frame == Concat({FromHex("02000000 0b12 02000000 0001 86dd"
                                        "6b94bacf 003c 29 40"
                                        "20010db8 00070000 00000000 00000002"
                                        "20010db8 00070000 00000000 00000012"),
                                Tail(packet)}));
}

TEST_CASE("the low 16 bits of an IPv4 outer source are filled from the flow hash") {
  Harness harness(EncapsulationPlan());
  const PacketSpec packet{.destination_port = 8443};
  CHECK(harness.Run(BuildFrame(packet)).frame == Concat({FromHex("02000000 0b0b 02000000 0001 0800"
                                                                 "45 00 003c 0000 4000 40 04 1277 0a091434 0a00000b"),
                                                         Tail(packet)}));
}

TEST_CASE("the low 32 bits of an IPv6 outer source are filled from the flow hash, and the hop limit is the VIP's") {
  Harness harness(EncapsulationPlan());
  const PacketSpec packet{.destination = "2001:db8:1::10", .destination_port = 8443};
  CHECK(harness.Run(BuildFrame(packet)).frame == Concat({FromHex("02000000 0b12 02000000 0001 86dd"
                                                                 "60083274 003c 29 ff"
                                                                 "20010db8 00090000 00000000 1a683274"
                                                                 "20010db8 00070000 00000000 00000012"),
                                                         Tail(packet)}));
}

TEST_CASE("flows spread over the whole outer prefix, and one flow keeps one outer source") {
  Harness harness(EncapsulationPlan());
  std::set<uint16_t> sources;
  for (uint16_t port = 10000; port < 11000; ++port) {
    const PacketSpec packet{.source_port = port, .destination_port = 8443};
    const Bytes out = harness.RunFast(BuildFrame(packet)).program.frame;
    REQUIRE(Get16(out, 26) == 0x0a09);
    REQUIRE(harness.RunFast(BuildFrame({.source_port = port, .destination_port = 8443, .tcp_flags = kFin}))
                .program.frame[29] == out[29]);
    sources.insert(Get16(out, 28));
  }
  // 1000 of 65536 at random: 992 different ones are expected, with a standard deviation below 3.
  CHECK(sources.size() > 975);
}

TEST_CASE("every spread from 0 to 32 bits fills just these bits of the outer source") {
  for (uint8_t bits = 0; bits <= 32; ++bits) {
    Harness harness(MakePlan({
        {.vip = "203.0.113.10:443/tcp", .reals = {{.address = "10.0.0.11", .source = "0.0.0.0", .spread_bits = bits}}},
        {.vip = "203.0.113.10:444/tcp",
         .reals = {{.address = "2001:db8:7::12", .source = "2001:db8:9::", .spread_bits = bits}}},
    }));
    uint32_t seen4 = 0;
    uint32_t seen6 = 0;
    for (uint16_t port = 1; port <= 64; ++port) {
      const Bytes out4 = harness.RunFast(BuildFrame({.source_port = port})).program.frame;
      const Bytes out6 = harness.RunFast(BuildFrame({.source_port = port, .destination_port = 444})).program.frame;
      seen4 |= static_cast<uint32_t>(Get16(out4, 26)) << 16 | Get16(out4, 28);
      seen6 |= static_cast<uint32_t>(Get16(out6, 34)) << 16 | Get16(out6, 36);
    }
    INFO(int{bits} << " bits");
    const auto expected = static_cast<uint32_t>((uint64_t{1} << bits) - 1);
    CHECK(seen4 == expected);
    CHECK(seen6 == expected);
  }
}

TEST_CASE("DSCP and ECN are copied for every value and every pair of families") {
  Harness harness(EncapsulationPlan());
  for (size_t tos = 0; tos < 256; ++tos) {
    INFO("traffic class " << tos);
    for (PacketSpec packet : {Tcp("203.0.113.10"), Tcp("2001:db8:1::10"), Udp("203.0.113.10"), Udp("2001:db8:1::10")}) {
      packet.tos = static_cast<uint8_t>(tos);
      packet.flow_label = 0xfffff;
      const Bytes out = harness.RunFast(BuildFrame(packet)).program.frame;
      const uint16_t first = Get16(out, 14);
      REQUIRE((packet.protocol == kTcp ? first & 0xff : (first >> 4) & 0xff) == tos);
      REQUIRE(IpPacketOf(out, packet.protocol == kTcp ? 34 : 54) == Tail(packet));
    }
  }
  harness.CheckTotals();
}

TEST_CASE("VLAN tags go, whichever kind and however many") {
  Harness harness(EncapsulationPlan());
  const std::vector<std::vector<uint16_t>> stacks = {
      {0x8100}, {0x88a8}, {0x8100, 0x8100}, {0x88a8, 0x8100}, {0x88a8, 0x88a8}};
  for (PacketSpec packet : {Tcp("203.0.113.10"), Tcp("2001:db8:1::10"), Udp("203.0.113.10"), Udp("2001:db8:1::10")}) {
    const FrameResult untagged = harness.Run(BuildFrame(packet));
    for (const auto& stack : stacks) {
      packet.vlan_ether_types = stack;
      const FrameResult tagged = harness.Run(BuildFrame(packet));
      CHECK(tagged.verdict == VERDICT_TX_ENCAPSULATED);
      CHECK(tagged.frame == untagged.frame);
    }
  }
}

TEST_CASE("a real behind another interface is redirected to, the one it came in by is sent out of") {
  Harness harness(EncapsulationPlan());
  const PacketSpec packet{.destination_port = 8444};
  const FrameResult result = harness.Run(BuildFrame(packet));
  CHECK(result.verdict == VERDICT_REDIRECT_ENCAPSULATED);
  CHECK(IpPacketOf(result.frame, 34) == Tail(packet));
}

TEST_CASE("bytes behind the IP packet stay in the frame and are no part of the outer length") {
  Harness harness(EncapsulationPlan());
  for (PacketSpec packet : {Tcp("203.0.113.10"), Tcp("2001:db8:1::10"), Udp("203.0.113.10"), Udp("2001:db8:1::10")}) {
    const size_t inner_bytes = Tail(packet).size();
    for (const size_t padding : {1u, 6u, 7u, 46u}) {
      packet.padding_bytes = padding;
      const Bytes out = harness.Run(BuildFrame(packet)).frame;
      const bool outer4 = packet.protocol == kTcp;
      CHECK(Get16(out, outer4 ? 16 : 18) == inner_bytes + (outer4 ? 20 : 0));
      CHECK(IpPacketOf(out, outer4 ? 34 : 54) == Tail(packet));
    }
  }
}

TEST_CASE("outer IPv4 checksums are right for thousands of sizes, traffic classes and flows") {
  Harness harness(EncapsulationPlan());
  std::mt19937 random(20240601);
  for (int i = 0; i < 4000; ++i) {
    PacketSpec packet{.destination = i % 2 == 0 ? "203.0.113.10" : "2001:db8:1::10"};
    packet.destination_port = i % 4 == 0 ? 8443 : 443;  // with spread, where it is IPv4 outside
    packet.source_port = static_cast<uint16_t>(random());
    packet.tos = static_cast<uint8_t>(random());
    packet.payload_bytes = random() % 1380;
    const Bytes in = BuildFrame(packet);
    const FrameResult result = harness.RunFast(in).program;
    REQUIRE(result.verdict == VERDICT_TX_ENCAPSULATED);
    REQUIRE(Get16(result.frame, 12) == 0x0800);
    REQUIRE(ChecksumResidue(std::span(result.frame).subspan(14, 20)) == 0);
    REQUIRE(Get16(result.frame, 16) == result.frame.size() - 14);
    REQUIRE(IpPacketOf(result.frame, 34) == Tail(packet));
  }
  harness.CheckTotals();
}

TEST_CASE("every outer source and length leaves a right checksum, also where sums carry twice") {
  // Addresses and lengths around the values at which the ones' complement sum wraps or is zero.
  for (const char* source : {"0.0.0.0", "255.255.255.255", "255.255.0.0", "191.187.255.255", "10.9.0.0"}) {
    for (const char* real : {"10.0.0.11", "255.255.255.255", "255.255.0.0", "0.0.0.1"}) {
      Harness harness(
          MakePlan({{.vip = "203.0.113.10:443/tcp", .reals = {{.address = real, .source = source, .ttl = 255}}}}));
      for (size_t payload = 0; payload < 300; ++payload) {
        const Bytes out = harness.RunFast(BuildFrame({.tos = 0xff, .payload_bytes = payload})).program.frame;
        INFO(source << " to " << real << ", payload " << payload);
        REQUIRE(Get16(out, 12) == 0x0800);
        REQUIRE(ChecksumResidue(std::span(out).subspan(14, 20)) == 0);
      }
    }
  }
}

// The largest payload of UDP to `port` that is still sent, found by trying every size.
TEST_CASE("the MTU's last byte is used and the next one is refused, at odd and even lengths") {
  for (const uint32_t mtu : {1280u, 1499u, 1500u, 1501u}) {
    for (const char* real : {"10.0.0.11", "2001:db8:7::12"}) {
      Harness harness(MakePlan({{.vip = "203.0.113.10:443/tcp", .reals = {{.address = real, .mtu_bytes = mtu}}},
                                {.vip = "[2001:db8:1::10]:443/tcp", .reals = {{.address = real, .mtu_bytes = mtu}}}}));
      const size_t outer = std::string_view(real).contains(':') ? 40 : 20;
      for (const std::string_view vip : {"203.0.113.10", "2001:db8:1::10"}) {
        const size_t headers = outer + (vip.contains(':') ? 40 : 20) + 20;
        const PacketSpec fits{.destination = vip, .payload_bytes = mtu - headers};
        const PacketSpec exceeds{.destination = vip, .payload_bytes = mtu - headers + 1};
        INFO("MTU " << mtu << " to " << real << " for " << vip);
        const FrameResult sent = harness.Run(BuildFrame(fits));
        CHECK(sent.verdict == VERDICT_TX_ENCAPSULATED);
        CHECK(sent.frame.size() == 14 + mtu);
        CHECK(harness.Run(BuildFrame(exceeds)).verdict == VERDICT_DROP_TOO_BIG);
      }
    }
  }
}

TEST_CASE("a path whose MTU has no room for an inner packet takes none") {
  for (const char* real : {"10.0.0.11", "2001:db8:7::12"}) {
    for (const uint32_t mtu : {0u, 19u, 20u, 40u, 59u}) {
      Harness harness(MakePlan({{.vip = "203.0.113.10:443/tcp", .reals = {{.address = real, .mtu_bytes = mtu}}}}));
      CHECK(harness.Run(BuildFrame({})).verdict == VERDICT_DROP_TOO_BIG);
    }
  }
}

TEST_CASE("a frame as long as one page of buffer allows is encapsulated whole") {
  Harness harness(EncapsulationPlan());
  for (const uint16_t port : {uint16_t{9000}, uint16_t{9001}}) {
    for (const size_t payload : {2999u, 3000u, 3399u}) {
      const PacketSpec packet{.protocol = kUdp, .destination_port = port, .payload_bytes = payload};
      const FrameResult result = harness.Run(BuildFrame(packet));
      CHECK(result.verdict == VERDICT_TX_ENCAPSULATED);
      CHECK(IpPacketOf(result.frame, port == 9000 ? 34 : 54) == Tail(packet));
    }
  }
}

}  // namespace
}  // namespace shunt::test

// SPDX-License-Identifier: Apache-2.0
// Valid frames cut at every length, and grown by every small amount: the program must agree with the model and never
// touch what it does not own. What must come out is also said here, without the model.
#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>

#include "tests/dataplane/harness.h"

namespace shunt::test {
namespace {

constexpr size_t kEthernetBytes = 14;  // a test run takes no less

Plan TwoFamilies() {
  return MakePlan({{.vip = "203.0.113.10:443/tcp", .reals = {{"10.0.0.11"}}},
                   {.vip = "203.0.113.10:443/udp", .reals = {{"2001:db8:7::12"}}},
                   {.vip = "[2001:db8:1::10]:443/tcp", .reals = {{"10.0.0.11"}}},
                   {.vip = "[2001:db8:1::10]:443/udp", .reals = {{"2001:db8:7::12"}}}});
}

std::vector<PacketSpec> Transports(std::string_view vip4, std::string_view vip6) {
  std::vector<PacketSpec> packets;
  for (const std::string_view vip : {vip4, vip6}) {
    for (const uint8_t protocol : {kTcp, kUdp}) {
      packets.push_back({.destination = vip, .protocol = protocol, .payload_bytes = 33});
    }
  }
  return packets;
}

TEST_CASE("a frame to a VIP that is cut anywhere passes if its IP header is cut and is dropped as truncated if not") {
  Harness harness(TwoFamilies());
  for (PacketSpec packet : Transports("203.0.113.10", "2001:db8:1::10")) {
    for (const auto& tags : std::vector<std::vector<uint16_t>>{{}, {0x8100}, {0x88a8, 0x8100}}) {
      packet.vlan_ether_types = tags;
      const Bytes whole = BuildFrame(packet);
      const size_t ip_header_end = TransportOffset(packet);
      for (size_t bytes = kEthernetBytes; bytes <= whole.size(); ++bytes) {
        INFO("protocol " << int{packet.protocol} << " to " << packet.destination << ", " << tags.size() << " tags, "
                         << bytes << " of " << whole.size() << " bytes");
        const uint32_t verdict =
            harness.Run(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes))).verdict;
        const uint32_t expected = bytes < ip_header_end  ? VERDICT_PASS_UNREADABLE
                                  : bytes < whole.size() ? VERDICT_DROP_TRUNCATED
                                                         : VERDICT_TX_ENCAPSULATED;
        REQUIRE(NameOf(verdict) == NameOf(expected));
      }
    }
  }
}

TEST_CASE("a frame that is not for a VIP passes unchanged wherever it is cut") {
  Harness harness(TwoFamilies());
  for (const PacketSpec& packet : Transports("203.0.113.99", "2001:db8:1::99")) {
    const Bytes whole = BuildFrame(packet);
    for (size_t bytes = kEthernetBytes; bytes <= whole.size(); ++bytes) {
      const uint32_t verdict =
          harness.Run(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes))).verdict;
      const uint32_t expected = bytes < TransportOffset(packet) ? VERDICT_PASS_UNREADABLE : VERDICT_PASS_NOT_VIP;
      REQUIRE(NameOf(verdict) == NameOf(expected));
    }
  }
}

TEST_CASE("an IP length that ends anywhere before its headers are whole is dropped, whatever the frame holds") {
  Harness harness(TwoFamilies());
  for (const PacketSpec& packet : Transports("203.0.113.10", "2001:db8:1::10")) {
    const bool ipv4 = !packet.destination.contains(':');
    const size_t least = packet.protocol == kTcp ? 20 : 8;
    for (size_t payload = 0; payload <= least + 33 + 2; ++payload) {
      Bytes frame = BuildFrame(packet);
      Put16(frame, ipv4 ? 16 : 18, payload + (ipv4 ? 20 : 0));
      const uint32_t verdict = harness.Run(frame).verdict;
      INFO("protocol " << int{packet.protocol} << " to " << packet.destination << ", IP payload " << payload);
      // TCP does not say how long its data is; UDP does, and the datagram then is longer than the packet.
      const uint32_t expected = payload < least || payload > least + 33            ? VERDICT_DROP_TRUNCATED
                                : packet.protocol == kUdp && payload < least + 33u ? VERDICT_DROP_MALFORMED
                                                                                   : VERDICT_TX_ENCAPSULATED;
      REQUIRE(NameOf(verdict) == NameOf(expected));
    }
  }
}

TEST_CASE("IPv4 options, IPv6 extension headers and fragments agree with the model wherever they are cut") {
  Harness harness(TwoFamilies());
  const std::vector<PacketSpec> packets = {
      {.ip_options = FromHex("0101010101010101")},
      {.protocol = kUdp, .ip_options = Bytes(40, 1)},
      {.fragment_field = 0x2000, .payload_bytes = 8},
      {.fragment_field = 0x0003, .payload_bytes = 8},
      {.tcp_options = Bytes(40, 1)},
      {.destination = "2001:db8:1::10", .tcp_options = Bytes(40, 1)},
      {.destination = "2001:db8:1::10", .extension_headers = {{44, FromHex("00 0001 00000001")}}},
      {.destination = "2001:db8:1::10", .protocol = kIcmpv6, .extension_headers = {{44, FromHex("00 0001 00000001")}}},
      {.destination = "2001:db8:1::10", .extension_headers = {{0, FromHex("00 010400000000")}}},
      {.destination = "2001:db8:1::10",
       .extension_headers = {{43, FromHex("00 010400000000")}, {44, FromHex("00 0001 00000001")}}},
      {.destination = "::ffff:203.0.113.10"},
  };
  for (const PacketSpec& packet : packets) {
    const Bytes whole = BuildFrame(packet);
    const bool ipv4 = !packet.destination.contains(':');
    for (size_t bytes = kEthernetBytes; bytes <= whole.size(); ++bytes) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
      harness.Run(cut);
      // The same, with an IP length that agrees with the frame.
      const size_t header = ipv4 ? 20 : 40;
      if (bytes < kEthernetBytes + header) continue;
      Put16(cut, ipv4 ? 16 : 18, bytes - kEthernetBytes - (ipv4 ? 0 : 40));
      harness.Run(cut);
    }
  }
}

TEST_CASE("every next header and every protocol number agrees with the model, for VIPs and for others") {
  Harness harness(TwoFamilies());
  for (const char* destination : {"203.0.113.10", "203.0.113.99", "2001:db8:1::10", "2001:db8:1::99"}) {
    const bool ipv4 = !std::string_view(destination).contains(':');
    for (size_t protocol = 0; protocol < 256; ++protocol) {
      Bytes frame = BuildFrame({.destination = destination});
      Put8(frame, ipv4 ? 23 : 20, protocol);
      harness.Run(frame);
      if (ipv4) continue;
      Bytes fragment =
          BuildFrame({.destination = destination, .extension_headers = {{44, FromHex("00 0001 00000001")}}});
      Put8(fragment, 54, protocol);
      harness.Run(fragment);
    }
  }
}

}  // namespace
}  // namespace shunt::test

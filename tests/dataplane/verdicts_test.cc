// SPDX-License-Identifier: Apache-2.0
// Every rule of bpf/README.md as a frame and the verdict it must end with. One table, so that a verdict which no
// frame produces is seen.
#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <string>

#include "tests/dataplane/harness.h"
#include "userspace/dataplane/verdict.h"

namespace shunt::test {
namespace {

struct Scenario {
  uint32_t verdict;
  std::string sentence;
  Bytes frame;
  bool without_headroom = false;
};

constexpr std::string_view kTcpVip = "203.0.113.10";   // and 53/udp
constexpr std::string_view kTcpOnly = "203.0.113.11";  // every port, by another interface
constexpr std::string_view kVip6 = "2001:db8:1::10";   // 443/tcp and 53/udp
constexpr std::string_view kUdpOnly6 = "2001:db8:1::11";

Plan VerdictPlan() {
  return MakePlan({
      {.vip = "203.0.113.10:443/tcp", .reals = {{"10.0.0.11"}}},
      {.vip = "203.0.113.10:53/udp", .reals = {{"2001:db8:7::12"}}},
      {.vip = "203.0.113.11:*/tcp", .reals = {{"10.0.0.11", kOtherInterface}}},
      {.vip = "[2001:db8:1::10]:443/tcp", .reals = {{"10.0.0.11"}}},
      {.vip = "[2001:db8:1::10]:53/udp", .reals = {{"2001:db8:7::12"}}},
      {.vip = "[2001:db8:1::11]:53/udp", .reals = {{"2001:db8:7::12"}}},
      {.vip = "203.0.113.20:443/tcp", .no_slots = true},
      {.vip = "203.0.113.21:443/tcp", .reals = {{.address = "10.0.0.13", .resolved = false}}},
      {.vip = "203.0.113.22:443/tcp", .reals = {{"10.0.0.11"}}, .ring = {0, 0, 0}},
      {.vip = "203.0.113.23:443/tcp", .reals = {{"10.0.0.11"}}, .ring = {3, 3, 3}},
      {.vip = "203.0.113.24:443/tcp", .reals = {{.address = "10.0.0.11", .mtu_bytes = 576}}},
      {.vip = "203.0.113.25:443/tcp", .reals = {{.address = "2001:db8:7::12", .mtu_bytes = 576}}},
  });
}

// A built frame with one field changed; `at` counts from the IP header.
Bytes With8(const PacketSpec& packet, size_t at, size_t value) {
  Bytes frame = BuildFrame(packet);
  Put8(frame, IpOffset(packet) + at, value);
  return frame;
}

Bytes With16(const PacketSpec& packet, size_t at, size_t value) {
  Bytes frame = BuildFrame(packet);
  Put16(frame, IpOffset(packet) + at, value);
  return frame;
}

Bytes CutTo(const PacketSpec& packet, size_t ip_bytes) {
  Bytes frame = BuildFrame(packet);
  frame.resize(IpOffset(packet) + ip_bytes);
  return frame;
}

Bytes WithEtherType(uint16_t ether_type) {
  Bytes frame = BuildFrame({});
  Put16(frame, 12, ether_type);
  return frame;
}

const PacketSpec kTcp6{.destination = kVip6};
const PacketSpec kUdp4{.protocol = kUdp, .destination_port = 53, .payload_bytes = 20};
const PacketSpec kUdp6{.destination = kVip6, .protocol = kUdp, .destination_port = 53, .payload_bytes = 20};

std::vector<Scenario> NotIp() {
  const uint32_t not_ip = VERDICT_PASS_NOT_IP;
  const uint32_t unreadable = VERDICT_PASS_UNREADABLE;
  const Bytes arp = Concat({FromHex("ffffffffffff 02000000 00c1 0806"), Bytes(46)});
  return {
      {not_ip, "ARP is the host's", arp},
      {not_ip, "LLDP is the host's", WithEtherType(0x88cc)},
      {not_ip, "an 802.3 length in the place of an EtherType is the host's", WithEtherType(0x0040)},
      {not_ip, "a bare Ethernet header of no IP type is the host's", FromHex("ffffffffffff 02000000 00c1 0806")},
      {not_ip, "a third VLAN tag is not looked behind", BuildFrame({.vlan_ether_types = {0x88a8, 0x8100, 0x8100}})},
      {not_ip, "MPLS behind a VLAN tag is the host's",
       Concat({FromHex("02000000 00b1 02000000 00c1 8100 0064 8847"), Bytes(60)})},
      {not_ip, "an old double-tag EtherType is no tag", WithEtherType(0x9100)},
      {unreadable, "a VLAN tag cut short is unreadable", FromHex("02000000 00b1 02000000 00c1 8100 0064 08")},
      {unreadable, "a second VLAN tag cut short is unreadable",
       FromHex("02000000 00b1 02000000 00c1 88a8 0064 8100 0064")},
      {unreadable, "an IPv4 EtherType with nothing behind it is unreadable", CutTo({}, 0)},
      {unreadable, "19 bytes of an IPv4 header to a VIP are unreadable", CutTo({}, 19)},
      {unreadable, "39 bytes of an IPv6 header to a VIP are unreadable", CutTo(kTcp6, 39)},
      {unreadable, "version 6 under the EtherType of IPv4 is unreadable", With8({}, 0, 0x65)},
      {unreadable, "version 4 under the EtherType of IPv6 is unreadable", With8(kTcp6, 0, 0x40)},
  };
}

std::vector<Scenario> NotOurs() {
  const uint32_t not_vip = VERDICT_PASS_NOT_VIP;
  return {
      {not_vip, "another address is the host's", BuildFrame({.destination = "203.0.113.99"})},
      {not_vip, "another port of a VIP's address is the host's", BuildFrame({.destination_port = 80})},
      {not_vip, "another protocol on a VIP's port is the host's", BuildFrame({.protocol = kUdp})},
      {not_vip, "UDP to the address of a VIP of TCP is the host's",
       BuildFrame({.destination = kTcpOnly, .protocol = kUdp, .destination_port = 53})},
      {not_vip, "another IPv6 address is the host's", BuildFrame({.destination = "2001:db8:1::99"})},
      {not_vip, "port 0 of a VIP's address is the host's where no VIP takes every port",
       BuildFrame({.destination_port = 0})},
      {not_vip, "a fragment for another address is the host's",
       BuildFrame({.destination = "203.0.113.99", .fragment_field = 0x2000})},
      {not_vip, "a first fragment for another port is the host's",
       BuildFrame({.destination_port = 80, .fragment_field = 0x2000})},
      {not_vip, "a later UDP fragment is the host's where all VIPs of the address are TCP",
       BuildFrame({.destination = kTcpOnly, .protocol = kUdp, .fragment_field = 0x0010})},
      {not_vip, "an IPv6 TCP fragment is the host's where all VIPs of the address are UDP",
       BuildFrame({.destination = kUdpOnly6, .extension_headers = {{44, FromHex("00 0001 00000001")}}})},
      {not_vip, "a truncated packet for another address is the host's", CutTo({.destination = "203.0.113.99"}, 30)},
      {not_vip, "options on a packet for another address are the host's",
       BuildFrame({.destination = "203.0.113.99", .ip_options = FromHex("01010101")})},
      {not_vip, "options on a packet for another port are the host's",
       BuildFrame({.destination_port = 80, .ip_options = FromHex("01010101")})},
      {not_vip, "a malformed packet for another address is the host's",
       With8({.destination = "203.0.113.99"}, 0, 0x43)},
      {not_vip, "a hop-by-hop header on a packet for another address is the host's",
       BuildFrame({.destination = "2001:db8:1::99", .extension_headers = {{0, FromHex("00 01 04 00000000")}}})},
      {not_vip, "a ping of another address is the host's",
       BuildFrame({.destination = "203.0.113.99", .protocol = kIcmp})},
  };
}

std::vector<Scenario> OtherProtocols() {
  const uint32_t icmp = VERDICT_PASS_ICMP;
  const uint32_t other = VERDICT_PASS_OTHER_PROTOCOL;
  const PacketSpec ping{.protocol = kIcmp, .payload_bytes = 16};
  const PacketSpec fragmented6{
      .destination = kVip6, .protocol = kIcmpv6, .extension_headers = {{44, FromHex("00 0000 00000001")}}};
  return {
      {icmp, "a ping of a VIP's address is answered by the host", BuildFrame(ping)},
      {icmp, "an IPv6 ping of a VIP's address is answered by the host",
       BuildFrame({.destination = kVip6, .protocol = kIcmpv6})},
      {icmp, "a fragmented ping is the host's, flaw or not", BuildFrame({.protocol = kIcmp, .fragment_field = 0x2000})},
      {icmp, "a truncated ping is the host's, flaw or not", CutTo(ping, 22)},
      {icmp, "a ping with options is the host's, flaw or not",
       BuildFrame({.protocol = kIcmp, .ip_options = FromHex("94040000")})},
      {icmp, "an IPv6 fragment of ICMPv6 is the host's", BuildFrame(fragmented6)},
      {icmp, "a ping of an IPv4 VIP with a broken header length is the host's", With8(ping, 0, 0x42)},
      {other, "ICMPv6 within IPv4 is no ICMP", BuildFrame({.protocol = kIcmpv6})},
      {other, "ICMP of IPv4 within IPv6 is no ICMP", BuildFrame({.destination = kVip6, .protocol = kIcmp})},
      {other, "ESP to a VIP's address is the host's", BuildFrame({.protocol = 50})},
      {other, "GRE to a VIP's address is the host's", BuildFrame({.protocol = 47})},
      {other, "IPIP to a VIP's address is the host's", BuildFrame({.protocol = 4})},
      {other, "SCTP over IPv6 to a VIP's address is the host's", BuildFrame({.destination = kVip6, .protocol = 132})},
      {other, "an IPv6 authentication header is the host's", BuildFrame({.destination = kVip6, .protocol = 51})},
      {other, "IPv6 without a next header is the host's", BuildFrame({.destination = kVip6, .protocol = 59})},
      {other, "an IPv6 fragment of another protocol is the host's",
       BuildFrame({.destination = kVip6, .protocol = 132, .extension_headers = {{44, FromHex("00 0000 00000001")}}})},
      {other, "protocol 44 within IPv4 is no fragment header", BuildFrame({.protocol = 44})},
      {other, "protocol 0 within IPv4 is no extension header", BuildFrame({.protocol = 0})},
  };
}

std::vector<Scenario> Lengths() {
  const uint32_t truncated = VERDICT_DROP_TRUNCATED;
  const uint32_t malformed = VERDICT_DROP_MALFORMED;
  const PacketSpec options{.tcp_options = FromHex("01010101"), .payload_bytes = 10};
  return {
      {truncated, "an IPv4 packet that says one byte more than the frame has", With16({}, 2, 41)},
      {truncated, "an IPv6 packet that says one byte more than the frame has", With16(kTcp6, 4, 21)},
      {truncated, "19 bytes of a TCP header that the IP length agrees with", With16({}, 2, 39)},
      {truncated, "19 bytes of a TCP header in IPv6", With16(kTcp6, 4, 19)},
      {truncated, "7 bytes of a UDP header", With16(kUdp4, 2, 27)},
      {truncated, "7 bytes of a UDP header in IPv6", With16(kUdp6, 4, 7)},
      {truncated, "an IPv4 packet without payload", With16({}, 2, 20)},
      {truncated, "an IPv6 packet of TCP without payload", With16(kTcp6, 4, 0)},
      {truncated, "padding behind an IP packet does not complete a TCP header", With16({.padding_bytes = 30}, 2, 30)},
      {truncated, "IPv4 options that run beyond the frame", CutTo({.ip_options = FromHex("0101010101010101")}, 24)},
      {truncated, "truncation comes before options", With16({.ip_options = FromHex("01010101")}, 2, 100)},
      {truncated, "truncation comes before a fragment", With16({.fragment_field = 0x2000}, 2, 100)},
      {truncated, "a later fragment that is truncated", With16({.fragment_field = 0x0001}, 2, 100)},
      {truncated, "truncation comes before a wrong TCP header length", CutTo(options, 43)},
      {malformed, "an IPv4 header length below 20 bytes", With8({}, 0, 0x44)},
      {malformed, "an IPv4 header length of 0", With8({}, 0, 0x40)},
      {malformed, "an IPv4 total length below its header", With16({}, 2, 19)},
      {malformed, "an IPv4 total length below its options", With16({.ip_options = FromHex("01010101")}, 2, 23)},
      {malformed, "an IPv4 total length of 0", With16({}, 2, 0)},
      {malformed, "a short IPv4 header comes before truncation", With8({.fragment_field = 0x2000}, 0, 0x41)},
      {malformed, "a TCP data offset below 5", With8({}, 32, 0x40)},
      {malformed, "a TCP header that runs beyond the packet", With8({}, 32, 0x60)},
      {malformed, "a TCP header that runs into the padding", With8({.padding_bytes = 20}, 32, 0x60)},
      {malformed, "a TCP data offset below 5 in IPv6", With8(kTcp6, 52, 0x00)},
      {malformed, "a TCP header that runs beyond an IPv6 packet", With8(kTcp6, 52, 0xf0)},
      {malformed, "a UDP length below 8", With16(kUdp4, 24, 7)},
      {malformed, "a UDP length of 0", With16(kUdp4, 24, 0)},
      {malformed, "a UDP length of 0 in IPv6", With16(kUdp6, 44, 0)},
      {malformed, "a UDP length beyond the packet", With16(kUdp4, 24, 29)},
      {malformed, "a UDP length beyond the packet in IPv6", With16(kUdp6, 44, 29)},
  };
}

std::vector<Scenario> HeadersWeRefuse() {
  const uint32_t mapped = VERDICT_DROP_MAPPED_ADDRESS;
  const uint32_t fragment = VERDICT_DROP_FRAGMENT;
  const uint32_t options = VERDICT_DROP_IP_OPTIONS;
  const Bytes fragment_header = FromHex("00 0001 00000001");  // the first of several
  const Bytes eight = FromHex("00 010400000000");
  const auto extended = [&](uint8_t type) {
    return BuildFrame({.destination = kVip6, .extension_headers = {{type, eight}}});
  };
  return {
      {mapped, "IPv6 to a mapped address that is an IPv4 VIP", BuildFrame({.destination = "::ffff:203.0.113.10"})},
      {mapped, "IPv6 from a mapped address to an IPv6 VIP",
       BuildFrame({.source = "::ffff:198.51.100.7", .destination = kVip6})},
      {mapped, "a mapped address comes before an extension header",
       BuildFrame({.source = "::ffff:198.51.100.7", .destination = kVip6, .extension_headers = {{60, eight}}})},
      {fragment, "a first fragment of IPv4", BuildFrame({.fragment_field = 0x2000, .payload_bytes = 64})},
      {fragment, "a later fragment of IPv4", BuildFrame({.fragment_field = 0x2010, .payload_bytes = 64})},
      {fragment, "the last fragment of IPv4", BuildFrame({.fragment_field = 0x0010})},
      {fragment, "a fragment at the largest offset", BuildFrame({.fragment_field = 0x1fff})},
      {fragment, "a later fragment to an address with a VIP of every port",
       BuildFrame({.destination = kTcpOnly, .fragment_field = 0x0010})},
      {fragment, "a fragment comes before options",
       BuildFrame({.fragment_field = 0x2000, .ip_options = FromHex("01010101")})},
      {fragment, "a later fragment too short for a TCP header", With16({.fragment_field = 0x0010}, 2, 25)},
      {fragment, "a fragment of IPv6 TCP",
       BuildFrame({.destination = kVip6, .extension_headers = {{44, fragment_header}}})},
      {fragment, "an atomic fragment of IPv6 UDP",
       BuildFrame({.destination = kVip6,
                   .protocol = kUdp,
                   .destination_port = 53,
                   .extension_headers = {{44, FromHex("00 0000 00000001")}}})},
      {fragment, "an IPv6 fragment header without its first byte",
       With16({.destination = kVip6, .extension_headers = {{44, fragment_header}}}, 4, 0)},
      {options, "IPv4 options", BuildFrame({.ip_options = FromHex("01010101")})},
      {options, "40 bytes of IPv4 options", BuildFrame({.ip_options = Bytes(40, 1)})},
      {options, "IPv4 options come before a wrong UDP length",
       With16({.protocol = kUdp, .destination_port = 53, .ip_options = FromHex("01010101")}, 28, 3)},
      {options, "an IPv6 hop-by-hop header", extended(0)},
      {options, "an IPv6 routing header", extended(43)},
      {options, "IPv6 destination options", extended(60)},
      {options, "an IPv6 mobility header", extended(135)},
      {options, "an IPv6 host identity header", extended(139)},
      {options, "an IPv6 shim6 header", extended(140)},
      {options, "a fragment header behind another header is not looked for",
       BuildFrame({.destination = kVip6, .extension_headers = {{0, eight}, {44, fragment_header}}})},
      {options, "an extension header on ICMPv6 to a VIP's address",
       BuildFrame({.destination = kVip6, .protocol = kIcmpv6, .extension_headers = {{0, eight}}})},
  };
}

std::vector<Scenario> Forwarded() {
  const uint32_t sent = VERDICT_TX_ENCAPSULATED;
  const uint32_t redirected = VERDICT_REDIRECT_ENCAPSULATED;
  const uint32_t too_big = VERDICT_DROP_TOO_BIG;
  const uint32_t no_real = VERDICT_DROP_NO_REAL;
  return {
      {sent, "TCP over IPv4 to a VIP", BuildFrame({})},
      {sent, "UDP over IPv4 to a VIP", BuildFrame(kUdp4)},
      {sent, "TCP over IPv6 to a VIP", BuildFrame(kTcp6)},
      {sent, "UDP over IPv6 to a VIP", BuildFrame(kUdp6)},
      {sent, "an empty UDP datagram", BuildFrame({.protocol = kUdp, .destination_port = 53})},
      {sent, "a TCP header of 60 bytes", BuildFrame({.tcp_options = Bytes(40, 1)})},
      {sent, "a UDP length shorter than the packet", With16(kUdp4, 24, 12)},
      {sent, "a packet with the reserved flag is no fragment", BuildFrame({.fragment_field = 0x8000})},
      {sent, "a packet that may be fragmented is not a fragment", BuildFrame({.fragment_field = 0})},
      {sent, "a wrong header checksum is for the real to find", With16({}, 10, 0xdead)},
      {redirected, "a VIP of every port, by another interface",
       BuildFrame({.destination = kTcpOnly, .destination_port = 12345})},
      {redirected, "port 0 of a VIP of every port", BuildFrame({.destination = kTcpOnly, .destination_port = 0})},
      {no_real, "a VIP whose ring has no slots", BuildFrame({.destination = "203.0.113.20"})},
      {no_real, "a VIP whose slots are empty", BuildFrame({.destination = "203.0.113.22"})},
      {no_real, "a slot that names a real which is absent", BuildFrame({.destination = "203.0.113.23"})},
      {VERDICT_DROP_NO_NEXT_HOP, "a real whose next hop is not resolved", BuildFrame({.destination = "203.0.113.21"})},
      {sent, "the longest packet that fits an MTU of 576 with IPv4 outside",
       BuildFrame({.destination = "203.0.113.24", .payload_bytes = 516})},
      {too_big, "one byte more than fits with IPv4 outside",
       BuildFrame({.destination = "203.0.113.24", .payload_bytes = 517})},
      {sent, "the longest packet that fits an MTU of 576 with IPv6 outside",
       BuildFrame({.destination = "203.0.113.25", .payload_bytes = 496})},
      {too_big, "one byte more than fits with IPv6 outside",
       BuildFrame({.destination = "203.0.113.25", .payload_bytes = 497})},
      {sent, "padding does not count towards the MTU",
       BuildFrame({.destination = "203.0.113.24", .payload_bytes = 516, .padding_bytes = 50})},
      {VERDICT_DROP_NO_HEADROOM, "a frame with no room in front of it", BuildFrame({}), true},
  };
}

std::vector<Scenario> AllScenarios() {
  std::vector<Scenario> all;
  for (const auto& group : {NotIp(), NotOurs(), OtherProtocols(), Lengths(), HeadersWeRefuse(), Forwarded()}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

uint32_t VerdictOn(Harness& harness, const Scenario& scenario) {
  return scenario.without_headroom ? harness.RunWithoutHeadroom(scenario.frame) : harness.Run(scenario.frame).verdict;
}

TEST_CASE("each frame ends with the verdict that the rules give it") {
  Harness harness(VerdictPlan());
  for (const Scenario& scenario : AllScenarios()) {
    INFO(scenario.sentence);
    const uint32_t verdict = VerdictOn(harness, scenario);
    INFO("ended as " << NameOf(verdict) << ", should as " << NameOf(scenario.verdict));
    CHECK(verdict == scenario.verdict);
  }
}

TEST_CASE("every verdict of the list is produced by some frame") {
  Harness harness(VerdictPlan());
  std::set<uint32_t> produced;
  for (const Scenario& scenario : AllScenarios()) produced.insert(VerdictOn(harness, scenario));
  for (const VerdictInfo& verdict : AllVerdicts()) {
    INFO(verdict.name);
    CHECK(produced.contains(verdict.number));
  }
}

TEST_CASE("a frame of a VIP behind two VLAN tags passes when only one is looked behind") {
  const PacketSpec once{.vlan_ether_types = {0x8100}};
  const PacketSpec twice{.vlan_ether_types = {0x88a8, 0x8100}};
  Harness one(VerdictPlan(), 1);
  CHECK(one.Run(BuildFrame(once)).verdict == VERDICT_TX_ENCAPSULATED);
  CHECK(one.Run(BuildFrame(twice)).verdict == VERDICT_PASS_NOT_IP);
  Harness none(VerdictPlan(), 0);
  CHECK(none.Run(BuildFrame({})).verdict == VERDICT_TX_ENCAPSULATED);
  CHECK(none.Run(BuildFrame(once)).verdict == VERDICT_PASS_NOT_IP);
}

}  // namespace
}  // namespace shunt::test

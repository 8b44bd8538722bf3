// SPDX-License-Identifier: Apache-2.0
// Model values to ABI structs and back.
#include "userspace/dataplane/encode.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <numeric>

namespace shunt {
namespace {

IpAddress Address(const char* text) { return IpAddress::Parse(text).value(); }

RealEntry Ipv4Real() {
  OuterHeader outer;
  outer.next_hop = {7, MacAddress{{2, 0, 0, 0, 0, 1}}, MacAddress{{2, 0, 0, 0, 0, 2}}, Address("10.9.0.0"), 1600};
  outer.ttl = 63;
  outer.spread_bits = 16;
  return {Address("10.0.0.11"), outer};
}

RealEntry Ipv6Real() {
  OuterHeader outer;
  outer.next_hop = {9, MacAddress{{2, 0, 0, 0, 0, 3}}, MacAddress{{2, 0, 0, 0, 0, 4}}, Address("2001:db8:9::"), 65535};
  outer.ttl = 255;
  outer.spread_bits = 32;
  return {Address("2001:db8:7::12"), outer};
}

std::vector<uint8_t> HeaderOf(const shunt_real& real, size_t bytes) { return {real.header, real.header + bytes}; }

// RFC 1071, byte by byte in network order: what a receiver adds up. 0xffff is a right header.
uint16_t ReceiverSum(const std::vector<uint8_t>& header) {
  uint32_t sum = 0;
  for (size_t i = 0; i < header.size(); i += 2) sum += static_cast<uint32_t>(header[i] << 8 | header[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

}  // namespace

TEST_CASE("An IPv4 real's header is Ethernet and IPv4 with everything but what the packet decides") {
  const shunt_real real = EncodeReal(Ipv4Real());
  auto header = HeaderOf(real, SHUNT_OUTER_HEADER_BYTES);
  header[24] = header[25] = 0;  // the checksum has a test of its own
  std::vector<uint8_t> expected = {2,    0, 0, 0, 0, 2, 2,    0, 0,  0, 0, 1, 0x08, 0x00,  //
                                   0x45, 0, 0, 0, 0, 0, 0x40, 0, 63, 0, 0, 0, 10,   9,    0, 0, 10, 0, 0, 11};
  expected.resize(SHUNT_OUTER_HEADER_BYTES);
  CHECK(header == expected);
  CHECK(real.state == SHUNT_REAL_OUTER_IPV4);
  CHECK(real.spread_bits == 16);
  CHECK(real.egress_ifindex == 7);
  CHECK(real.max_inner_bytes == 1580);
}

TEST_CASE("An IPv6 real's header is Ethernet and IPv6 with everything but what the packet decides") {
  const shunt_real real = EncodeReal(Ipv6Real());
  std::vector<uint8_t> expected = {2,    0,    0,    0,    0, 4, 2, 0,   0, 0, 0, 3, 0x86, 0xdd,  //
                                   0x60, 0,    0,    0,    0, 0, 0, 255,                          //
                                   0x20, 0x01, 0x0d, 0xb8, 0, 9, 0, 0,   0, 0, 0, 0, 0,    0,    0, 0,
                                   0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0,   0, 0, 0, 0, 0,    0,    0, 0x12};
  CHECK(HeaderOf(real, SHUNT_OUTER_HEADER_BYTES) == expected);
  CHECK(real.state == SHUNT_REAL_OUTER_IPV6);
  CHECK(real.spread_bits == 32);
  CHECK(real.egress_ifindex == 9);
  CHECK(real.max_inner_bytes == 65535 - 40);
}

TEST_CASE("The program's arithmetic on the stored sum gives a checksum that a receiver accepts") {
  shunt_real real = EncodeReal(Ipv4Real());
  uint8_t* ip = real.header + 14;
  const auto load = [&](size_t at) {
    uint16_t word;
    std::memcpy(&word, ip + at, sizeof(word));
    return word;
  };
  // As the program does: patch fields that were zero, add them as they are loaded, fold, invert, store.
  const uint8_t tos = 0xb9, protocol = 4;
  ip[1] = tos;
  ip[2] = 0x05;
  ip[3] = 0xdc;
  ip[9] = protocol;
  ip[14] = 0xfe;  // low bits of the source
  ip[15] = 0xed;
  const uint8_t words[][2] = {{0, tos}, {0x05, 0xdc}, {0, protocol}, {0xfe, 0xed}};
  uint32_t sum = load(10);
  for (const auto& bytes : words) {
    uint16_t word;
    std::memcpy(&word, bytes, sizeof(word));
    sum += word;
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  const auto checksum = static_cast<uint16_t>(~sum);
  std::memcpy(ip + 10, &checksum, sizeof(checksum));
  CHECK(ReceiverSum({ip, ip + 20}) == 0xffff);
}

TEST_CASE("A real comes back as it was, resolved or not, of either family") {
  RealEntry plain = Ipv4Real();
  plain.outer->spread_bits = 0;
  plain.outer->ttl = 1;
  plain.outer->next_hop.mtu_bytes = 1280;
  plain.outer->next_hop.source = Address("192.0.2.1");
  const RealEntry reals[] = {Ipv4Real(), Ipv6Real(), plain, {Address("10.0.0.11"), {}}, {Address("2001:db8::1"), {}}};
  for (const RealEntry& real : reals) {
    CAPTURE(real.address.ToString());
    CHECK(DecodeReal(EncodeReal(real)) == real);
  }
}

TEST_CASE("A real without a next hop is not ready but is there") {
  CHECK(EncodeReal({Address("10.0.0.11"), {}}).state == SHUNT_REAL_UNRESOLVED);
  CHECK(EncodeReal({Address("2001:db8::1"), {}}).state == SHUNT_REAL_UNRESOLVED);
}

TEST_CASE("A real that does not serve is absent for packets, and comes back with its header as it was") {
  for (RealEntry real : {Ipv4Real(), Ipv6Real(), {Address("10.0.0.11"), {}}, {Address("2001:db8::1"), {}}}) {
    CAPTURE(real.address.ToString(), real.outer.has_value());
    const shunt_real serving = EncodeReal(real);
    real.serves = false;
    shunt_real down = EncodeReal(real);
    CHECK(down.state == SHUNT_REAL_ABSENT);
    CHECK(DecodeReal(down) == real);
    down.state = serving.state;  // nothing but the state differs
    CHECK(std::memcmp(&down, &serving, sizeof(down)) == 0);
  }
}

TEST_CASE("An entry of zeros is no real") { CHECK_FALSE(DecodeReal(shunt_real{})); }

TEST_CASE("A path whose MTU has no room for the outer header lets no packet through") {
  RealEntry real = Ipv6Real();
  real.outer->next_hop.mtu_bytes = 39;
  CHECK(EncodeReal(real).max_inner_bytes == 0);
}

TEST_CASE("A VIP's line begins with its address, its port in network order, its protocol and zeros") {
  const VipKey key{Address("203.0.113.10"), 443, Protocol::kUdp};
  const shunt_vip encoded = EncodeVip(key, {.id = 0x04030201}, 0);
  std::array<uint8_t, 24> bytes;
  std::memcpy(bytes.data(), &encoded, sizeof(bytes));
  CHECK(bytes ==
        std::array<uint8_t, 24>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 203, 0, 113, 10, 1, 187, 17, 0, 1, 2, 3, 4});
  CHECK(DecodeVipKey(encoded) == key);
}

TEST_CASE("A VIP's line tells its entry and where its ring begins") {
  const VipKey key{Address("2001:db8:1::10"), 0, Protocol::kTcp};
  const VipEntry entries[] = {{.id = 1, .real_capacity = 4},
                              {.id = 4096,
                               .tracking = Tracking::kAll,
                               .real_base = 65536,
                               .real_capacity = 16384,
                               .ring_slots = 65537,
                               .flow_hash_key = {0x0123456789abcdef, 42}},
                              {.id = 2, .tracking = Tracking::kMoving, .quic = true, .real_capacity = 1}};
  for (const VipEntry& entry : entries) {
    const shunt_vip encoded = EncodeVip(key, entry, 70000);
    CHECK(DecodeVip(encoded) == entry);
    CHECK(DecodeVipKey(encoded) == key);
    CHECK(encoded.ring_line == 70000);
  }
}

TEST_CASE("An address's line has id 0, port 0 and protocol 0, and tells which protocols it has") {
  const shunt_vip line = EncodeAddressEntry(Address("2001:db8::10"), {.has_tcp = true, .has_udp = false});
  CHECK(DecodeAddress(line.address) == Address("2001:db8::10"));
  CHECK(line.port == 0);
  CHECK(line.protocol == 0);
  CHECK(line.id == 0);
  CHECK(line.flags == SHUNT_VIP_HAS_TCP);
  CHECK(EncodeAddressEntry({}, {.has_tcp = false, .has_udp = true}).flags == SHUNT_VIP_HAS_UDP);
}

TEST_CASE("A slot comes back as it was, and the mark of a held one does not touch its real") {
  const RingSlot slots[] = {
      {}, {1, 0, false}, {kMaxRealIndex, kMaxRealIndex, false}, {1, kMaxRealIndex, true}, {0, 7, false}};
  for (const RingSlot& slot : slots) CHECK(DecodeSlot(EncodeSlot(slot)) == slot);
  CHECK(EncodeSlot({1, 2, true}).previous_real == (2 | SHUNT_SLOT_HOLD));
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Frames for the data-plane tests, written field by field, and the checksum they are verified with. Shares no code
// with the program or with the packet model. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace shunt::test {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kIcmp = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmpv6 = 58;

constexpr uint8_t kFin = 0x01;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kAck = 0x10;

// One packet; what is not set is as an ordinary packet has it. IPv6 if `destination` has a colon.
struct PacketSpec {
  std::string_view source = {};  // unset: 198.51.100.7 or 2001:db8:c::7
  std::string_view destination = "203.0.113.10";
  uint8_t protocol = kTcp;
  uint16_t source_port = 40000;
  uint16_t destination_port = 443;
  uint8_t tcp_flags = kAck;
  Bytes tcp_options = {};  // whole words

  uint8_t tos = 0;  // or traffic class
  uint8_t ttl = 57;
  uint32_t flow_label = 0;
  uint16_t fragment_field = 0x4000;                               // IPv4: flags and offset
  Bytes ip_options = {};                                          // IPv4, whole words
  std::vector<std::pair<uint8_t, Bytes>> extension_headers = {};  // IPv6: type, bytes behind its next-header byte

  size_t payload_bytes = 0;                     // behind the transport header
  Bytes payload = {};                           // in place of so many bytes
  std::vector<uint16_t> vlan_ether_types = {};  // outermost first
  size_t padding_bytes = 0;                     // behind the IP packet
};

Bytes BuildFrame(const PacketSpec& packet);

// Where headers of a built frame begin.
size_t IpOffset(const PacketSpec& packet);
size_t TransportOffset(const PacketSpec& packet);

void Put8(Bytes& frame, size_t at, size_t value);
void Put16(Bytes& frame, size_t at, size_t value);  // network byte order
uint16_t Get16(std::span<const uint8_t> frame, size_t at);

// "45 00 00 14": spaces and line ends are for the reader.
Bytes FromHex(std::string_view hex);
Bytes Concat(std::initializer_list<Bytes> parts);

// RFC 1071 over `bytes`, checksum field included: 0 if the checksum is right.
uint16_t ChecksumResidue(std::span<const uint8_t> bytes);

}  // namespace shunt::test

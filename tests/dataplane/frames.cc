// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/frames.h"

#include <arpa/inet.h>

#include <cctype>
#include <string>

namespace shunt::test {
namespace {

bool IsIpv6(const PacketSpec& packet) { return packet.destination.find(':') != std::string_view::npos; }

void Append(Bytes& out, const Bytes& bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void Append16(Bytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

void AppendAddress(Bytes& out, std::string_view text) {
  const bool ipv6 = text.find(':') != std::string_view::npos;
  Bytes address(ipv6 ? 16 : 4);
  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, std::string(text).c_str(), address.data()) != 1) std::abort();
  Append(out, address);
}

Bytes PayloadOf(const PacketSpec& packet) {
  if (!packet.payload.empty()) return packet.payload;
  Bytes payload;
  for (size_t i = 0; i < packet.payload_bytes; ++i) payload.push_back(static_cast<uint8_t>(i * 7 + 1));
  return payload;
}

Bytes BuildSegment(const PacketSpec& packet) {
  const Bytes payload = PayloadOf(packet);
  Bytes segment;
  if (packet.protocol == kTcp || packet.protocol == kUdp) {
    Append16(segment, packet.source_port);
    Append16(segment, packet.destination_port);
  }
  if (packet.protocol == kTcp) {
    Append(segment, FromHex("11223344 55667788"));
    segment.push_back(static_cast<uint8_t>((5 + packet.tcp_options.size() / 4) << 4));
    segment.push_back(packet.tcp_flags);
    Append(segment, FromHex("ffff abcd 0000"));
    Append(segment, packet.tcp_options);
  } else if (packet.protocol == kUdp) {
    Append16(segment, 8 + payload.size());
    Append(segment, FromHex("abcd"));
  }
  Append(segment, payload);
  return segment;
}

Bytes BuildIpv4(const PacketSpec& packet, const Bytes& segment) {
  const size_t header_bytes = 20 + packet.ip_options.size();
  Bytes ip = {static_cast<uint8_t>(0x40 | header_bytes / 4), packet.tos};
  Append16(ip, header_bytes + segment.size());
  Append16(ip, 0x1234);
  Append16(ip, packet.fragment_field);
  ip.push_back(packet.ttl);
  ip.push_back(packet.protocol);
  Append16(ip, 0);
  AppendAddress(ip, packet.source.empty() ? "198.51.100.7" : packet.source);
  AppendAddress(ip, packet.destination);
  Append(ip, packet.ip_options);
  Put16(ip, 10, ChecksumResidue(ip));
  Append(ip, segment);
  return ip;
}

Bytes BuildIpv6(const PacketSpec& packet, const Bytes& segment) {
  // Headers are chained from the back: each names the one behind it.
  Bytes payload = segment;
  uint8_t next_header = packet.protocol;
  for (auto header = packet.extension_headers.rbegin(); header != packet.extension_headers.rend(); ++header) {
    payload.insert(payload.begin(), header->second.begin(), header->second.end());
    payload.insert(payload.begin(), next_header);
    next_header = header->first;
  }
  Bytes ip;
  Append16(ip, 0x6000u | packet.tos << 4 | packet.flow_label >> 16);
  Append16(ip, packet.flow_label & 0xffff);
  Append16(ip, payload.size());
  ip.push_back(next_header);
  ip.push_back(packet.ttl);
  AppendAddress(ip, packet.source.empty() ? "2001:db8:c::7" : packet.source);
  AppendAddress(ip, packet.destination);
  Append(ip, payload);
  return ip;
}

}  // namespace

Bytes BuildFrame(const PacketSpec& packet) {
  Bytes frame = FromHex("02000000 00b1 02000000 00c1");  // to a balancer, from a router
  for (const uint16_t ether_type : packet.vlan_ether_types) {
    Append16(frame, ether_type);
    Append16(frame, 0x2064);  // priority 1, VLAN 100
  }
  Append16(frame, IsIpv6(packet) ? 0x86dd : 0x0800);
  const Bytes segment = BuildSegment(packet);
  Append(frame, IsIpv6(packet) ? BuildIpv6(packet, segment) : BuildIpv4(packet, segment));
  frame.insert(frame.end(), packet.padding_bytes, 0xee);
  return frame;
}

size_t IpOffset(const PacketSpec& packet) { return 14 + 4 * packet.vlan_ether_types.size(); }

size_t TransportOffset(const PacketSpec& packet) {
  size_t offset = IpOffset(packet) + (IsIpv6(packet) ? 40 : 20 + packet.ip_options.size());
  for (const auto& [type, bytes] : packet.extension_headers) offset += 1 + bytes.size();
  return offset;
}

void Put8(Bytes& frame, size_t at, size_t value) { frame.at(at) = static_cast<uint8_t>(value); }

void Put16(Bytes& frame, size_t at, size_t value) {
  Put8(frame, at, value >> 8);
  Put8(frame, at + 1, value);
}

uint16_t Get16(std::span<const uint8_t> frame, size_t at) {
  return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
}

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  std::string digits;
  for (const char character : hex) {
    if (!std::isxdigit(static_cast<unsigned char>(character))) continue;
    digits += character;
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<uint8_t>(std::stoul(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

Bytes Concat(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) Append(all, part);
  return all;
}

uint16_t ChecksumResidue(std::span<const uint8_t> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    sum += static_cast<uint32_t>(bytes[i]) << 8 | low;
    if (sum > 0xffff) sum -= 0xffff;  // end-around carry, at once
  }
  return static_cast<uint16_t>(sum == 0xffff ? 0 : 0xffff - sum);
}

}  // namespace shunt::test

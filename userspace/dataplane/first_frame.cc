// SPDX-License-Identifier: Apache-2.0
// FirstFrame() of packet_model.h: a packet to ask the data plane about.
#include <netinet/in.h>

#include <array>

#include "userspace/dataplane/outer_header.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt {
namespace {

// A QUIC Initial packet of version 1 with empty connection ids and no token, cut off: to a VIP of QUIC a flow's first
// packet, to any other just bytes.
constexpr std::array<uint8_t, 8> kUdpPayload = {0xc0, 0, 0, 0, 1, 0, 0, 0};
constexpr uint8_t kTtl = 64;

void AppendWord(std::vector<uint8_t>& out, size_t word) {
  out.push_back(static_cast<uint8_t>(word >> 8));
  out.push_back(static_cast<uint8_t>(word));
}

template <class Bytes>
void Append(std::vector<uint8_t>& out, const Bytes& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void PutWord(std::vector<uint8_t>& out, size_t at, uint16_t word) {
  out[at] = static_cast<uint8_t>(word >> 8);
  out[at + 1] = static_cast<uint8_t>(word);
}

std::vector<uint8_t> AddressBytes(const IpAddress& address, Family family) {
  std::vector<uint8_t> bytes;
  if (family == Family::kIpv4) {
    Append(bytes, address.ipv4());
  } else {
    Append(bytes, address.bytes());
  }
  return bytes;
}

std::vector<uint8_t> MakeSegment(uint16_t source_port, uint16_t destination_port, Protocol protocol) {
  std::vector<uint8_t> segment;
  AppendWord(segment, source_port);
  AppendWord(segment, destination_port);
  if (protocol == Protocol::kTcp) {
    Append(segment, std::array<uint8_t, 8>{0, 0, 0, 1});  // sequence number 1, no acknowledgement
    Append(segment, std::array<uint8_t, 2>{0x50, 0x02});  // 20 bytes of header; SYN
    AppendWord(segment, 65535);                           // window
    AppendWord(segment, 0);                               // checksum
    AppendWord(segment, 0);                               // urgent pointer
  } else {
    AppendWord(segment, 8 + kUdpPayload.size());
    AppendWord(segment, 0);  // checksum
    Append(segment, kUdpPayload);
  }
  return segment;
}

}  // namespace

std::vector<uint8_t> FirstFrame(const Endpoint& source, const Endpoint& destination, Protocol protocol) {
  const bool ipv4 = source.address.family() == Family::kIpv4 && destination.address.family() == Family::kIpv4;
  const Family family = ipv4 ? Family::kIpv4 : Family::kIpv6;
  const auto protocol_number = static_cast<uint8_t>(protocol);
  std::vector<uint8_t> segment = MakeSegment(source.port, destination.port, protocol);

  std::vector<uint8_t> addresses = AddressBytes(source.address, family);
  Append(addresses, AddressBytes(destination.address, family));
  std::vector<uint8_t> pseudo_header = addresses;
  AppendWord(pseudo_header, protocol_number);
  AppendWord(pseudo_header, segment.size());
  Append(pseudo_header, segment);
  // UDP writes a sum of zero as its complement, for zero means "none" (RFC 768); TCP may as well.
  const uint16_t checksum = InternetChecksum(pseudo_header);
  PutWord(segment, protocol == Protocol::kTcp ? 16 : 6, checksum == 0 ? uint16_t{0xffff} : checksum);

  std::vector<uint8_t> ip;
  if (ipv4) {
    Append(ip, std::array<uint8_t, 2>{0x45, 0});
    AppendWord(ip, 20 + segment.size());
    Append(ip, std::array<uint8_t, 8>{0, 0, 0x40, 0, kTtl, protocol_number, 0, 0});  // DF set
    Append(ip, addresses);
    PutWord(ip, 10, InternetChecksum(ip));
  } else {
    Append(ip, std::array<uint8_t, 4>{0x60, 0, 0, 0});
    AppendWord(ip, segment.size());
    Append(ip, std::array<uint8_t, 2>{protocol_number, kTtl});
    Append(ip, addresses);
  }

  std::vector<uint8_t> frame = {0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02};
  AppendWord(frame, ipv4 ? 0x0800 : 0x86dd);
  Append(frame, ip);
  Append(frame, segment);
  return frame;
}

}  // namespace shunt

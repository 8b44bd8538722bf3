// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/outer_header.h"

namespace shunt {
namespace {

constexpr size_t kIpv4Bytes = 20;
constexpr size_t kIpv6Bytes = 40;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint8_t kProtocolIpv4 = 4;   // IANA: IPv4 in IP
constexpr uint8_t kProtocolIpv6 = 41;  // IANA: IPv6 in IP

void AppendWord(std::vector<uint8_t>& out, size_t word) {
  out.push_back(static_cast<uint8_t>(word >> 8));
  out.push_back(static_cast<uint8_t>(word));
}

template <class Bytes>
void Append(std::vector<uint8_t>& out, const Bytes& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<uint8_t> MakeIpv4(const IpAddress& source, const RealEntry& real, const InnerPacket& inner,
                              uint8_t protocol) {
  std::vector<uint8_t> header = {0x45, inner.traffic_class};
  AppendWord(header, inner.bytes + kIpv4Bytes);
  AppendWord(header, 0);  // identification: nothing to tell apart without fragments (RFC 6864)
  AppendWord(header, kDontFragment);
  header.push_back(real.outer->ttl);
  header.push_back(protocol);
  const size_t checksum_at = header.size();
  AppendWord(header, 0);
  Append(header, source.ipv4());
  Append(header, real.address.ipv4());
  const uint16_t checksum = InternetChecksum(header);
  header[checksum_at] = static_cast<uint8_t>(checksum >> 8);
  header[checksum_at + 1] = static_cast<uint8_t>(checksum);
  return header;
}

std::vector<uint8_t> MakeIpv6(const IpAddress& source, const RealEntry& real, const InnerPacket& inner,
                              uint8_t protocol) {
  const uint32_t flow_label = inner.entropy & 0xfffff;
  const uint32_t first = 6u << 28 | uint32_t{inner.traffic_class} << 20 | flow_label;
  std::vector<uint8_t> header;
  AppendWord(header, first >> 16);
  AppendWord(header, first & 0xffff);
  AppendWord(header, inner.bytes);
  header.push_back(protocol);
  header.push_back(real.outer->ttl);
  Append(header, source.bytes());
  Append(header, real.address.bytes());
  return header;
}

}  // namespace

size_t OuterIpBytes(const RealEntry& real) { return real.address.family() == Family::kIpv4 ? kIpv4Bytes : kIpv6Bytes; }

size_t MaxInnerBytes(const RealEntry& real) {
  const size_t mtu = real.outer->next_hop.mtu_bytes;
  return mtu > OuterIpBytes(real) ? mtu - OuterIpBytes(real) : 0;
}

IpAddress OuterSourceOf(const RealEntry& real, const InnerPacket& inner) {
  IpAddress::Bytes bytes = real.outer->next_hop.source.bytes();
  const uint64_t mask = (uint64_t{1} << real.outer->spread_bits) - 1;
  const auto spread = static_cast<uint32_t>(inner.entropy & mask);
  // Both families end in the last four bytes, where the (at most 32) bits to be filled are zero.
  for (size_t i = 0; i < 4; ++i) bytes[12 + i] = static_cast<uint8_t>(bytes[12 + i] | (spread >> (24 - 8 * i)));
  return IpAddress(bytes);
}

std::vector<uint8_t> MakeOuterHeader(const RealEntry& real, const InnerPacket& inner) {
  const bool ipv4 = real.address.family() == Family::kIpv4;
  const uint8_t protocol = inner.family == Family::kIpv4 ? kProtocolIpv4 : kProtocolIpv6;
  const IpAddress source = OuterSourceOf(real, inner);
  std::vector<uint8_t> header;
  Append(header, real.outer->next_hop.gateway_mac.bytes);
  Append(header, real.outer->next_hop.local_mac.bytes);
  AppendWord(header, ipv4 ? 0x0800 : 0x86dd);
  Append(header, ipv4 ? MakeIpv4(source, real, inner, protocol) : MakeIpv6(source, real, inner, protocol));
  return header;
}

uint16_t InternetChecksum(std::span<const uint8_t> bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? uint64_t{bytes[i]} << 8 : bytes[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace shunt

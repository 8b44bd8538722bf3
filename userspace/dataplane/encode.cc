// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/encode.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace shunt {
namespace {

constexpr uint16_t kDontFragment = 0x4000;
constexpr uint8_t kIpv4VersionAndLength = 0x45;
constexpr uint8_t kIpv6Version = 6;

// The ones' complement sum of a header as the program goes on with it: the header's 16-bit words loaded as the host
// loads them, added, folded to 16 bits and not inverted. It is stored the same way, as a host word. A sum is
// the same in either byte order but for its own byte order (RFC 1071, 2 B), so nothing is swapped.
uint16_t SumOf(const iphdr& header) {
  std::array<uint16_t, sizeof(header) / sizeof(uint16_t)> words{};
  std::memcpy(words.data(), &header, sizeof(header));
  uint32_t sum = 0;
  for (const uint16_t word : words) sum += word;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

iphdr EncodeIpv4(const RealEntry& real) {
  iphdr header{};
  const auto destination = real.address.ipv4();
  std::memcpy(&header.daddr, destination.data(), destination.size());
  if (!real.outer) return header;
  std::memcpy(&header, &kIpv4VersionAndLength, 1);
  header.frag_off = htons(kDontFragment);
  header.ttl = real.outer->ttl;
  const auto source = real.outer->next_hop.source.ipv4();
  std::memcpy(&header.saddr, source.data(), source.size());
  header.check = SumOf(header);
  return header;
}

ipv6hdr EncodeIpv6(const RealEntry& real) {
  ipv6hdr header{};
  std::memcpy(&header.daddr, real.address.bytes().data(), sizeof(header.daddr));
  if (!real.outer) return header;
  header.version = kIpv6Version;
  header.hop_limit = real.outer->ttl;
  std::memcpy(&header.saddr, real.outer->next_hop.source.bytes().data(), sizeof(header.saddr));
  return header;
}

uint16_t TrackingFlag(Tracking tracking) {
  switch (tracking) {
    case Tracking::kAll:
      return SHUNT_VIP_TRACK_ALL;
    case Tracking::kMoving:
      return SHUNT_VIP_TRACK_MOVING;
    case Tracking::kNone:
      break;
  }
  return 0;
}

uint32_t OuterIpBytes(Family family) { return family == Family::kIpv4 ? sizeof(iphdr) : sizeof(ipv6hdr); }

}  // namespace

shunt_address EncodeAddress(const IpAddress& address) {
  shunt_address encoded{};
  std::memcpy(encoded.bytes, address.bytes().data(), sizeof(encoded.bytes));
  return encoded;
}

IpAddress DecodeAddress(const shunt_address& address) {
  IpAddress::Bytes bytes{};
  std::memcpy(bytes.data(), address.bytes, bytes.size());
  return IpAddress(bytes);
}

__be16 EncodePort(uint16_t port) { return htons(port); }

uint16_t DecodePort(__be16 port) { return ntohs(port); }

shunt_vip EncodeVip(const VipKey& key, const VipEntry& entry, uint32_t ring_line) {
  shunt_vip vip{};
  vip.address = EncodeAddress(key.address);
  vip.port = EncodePort(key.port);
  vip.protocol = static_cast<uint8_t>(key.protocol);
  vip.id = entry.id;
  std::ranges::copy(entry.flow_hash_key, vip.hash_key);
  vip.real_base = entry.real_base;
  vip.flags = static_cast<uint16_t>(TrackingFlag(entry.tracking) | (entry.quic ? SHUNT_VIP_QUIC : 0));
  vip.real_capacity_log2 = static_cast<uint8_t>(std::bit_width(std::max(entry.real_capacity, 1u)) - 1);
  vip.ring_line = ring_line;
  vip.ring_slots = entry.ring_slots;
  return vip;
}

VipKey DecodeVipKey(const shunt_vip& vip) {
  return {DecodeAddress(vip.address), DecodePort(vip.port), static_cast<Protocol>(vip.protocol)};
}

VipEntry DecodeVip(const shunt_vip& vip) {
  VipEntry entry;
  entry.id = vip.id;
  if (vip.flags & SHUNT_VIP_TRACK_ALL) entry.tracking = Tracking::kAll;
  if (vip.flags & SHUNT_VIP_TRACK_MOVING) entry.tracking = Tracking::kMoving;
  entry.quic = (vip.flags & SHUNT_VIP_QUIC) != 0;
  entry.real_base = vip.real_base;
  entry.real_capacity = uint32_t{1} << vip.real_capacity_log2;
  entry.ring_slots = vip.ring_slots;
  std::ranges::copy(vip.hash_key, entry.flow_hash_key.begin());
  return entry;
}

shunt_vip EncodeAddressEntry(const IpAddress& address, const AddressEntry& entry) {
  shunt_vip vip{};
  vip.address = EncodeAddress(address);
  vip.flags = static_cast<uint16_t>((entry.has_tcp ? SHUNT_VIP_HAS_TCP : 0) | (entry.has_udp ? SHUNT_VIP_HAS_UDP : 0));
  return vip;
}

shunt_ring_slot EncodeSlot(const RingSlot& slot) {
  return {slot.current_real, static_cast<uint16_t>(slot.previous_real | (slot.hold ? SHUNT_SLOT_HOLD : 0))};
}

RingSlot DecodeSlot(const shunt_ring_slot& slot) {
  return {slot.current_real, static_cast<uint16_t>(slot.previous_real & ~SHUNT_SLOT_HOLD),
          (slot.previous_real & SHUNT_SLOT_HOLD) != 0};
}

shunt_real EncodeReal(const RealEntry& real) {
  const bool ipv4 = real.address.family() == Family::kIpv4;
  ethhdr ethernet{};
  ethernet.h_proto = htons(ipv4 ? ETH_P_IP : ETH_P_IPV6);
  shunt_real encoded{};
  encoded.state = SHUNT_REAL_UNRESOLVED;
  if (real.outer) {
    const NextHop& hop = real.outer->next_hop;
    std::ranges::copy(hop.gateway_mac.bytes, ethernet.h_dest);
    std::ranges::copy(hop.local_mac.bytes, ethernet.h_source);
    encoded.state = ipv4 ? SHUNT_REAL_OUTER_IPV4 : SHUNT_REAL_OUTER_IPV6;
    encoded.spread_bits = real.outer->spread_bits;
    encoded.egress_ifindex = hop.interface_index;
    const uint32_t outer_bytes = OuterIpBytes(real.address.family());
    const uint32_t mtu_bytes = std::clamp<uint32_t>(hop.mtu_bytes, outer_bytes, UINT16_MAX);
    encoded.max_inner_bytes = static_cast<uint16_t>(mtu_bytes - outer_bytes);
  }
  if (!real.serves) encoded.state = SHUNT_REAL_ABSENT;
  std::memcpy(encoded.header, &ethernet, sizeof(ethernet));
  if (ipv4) {
    const iphdr header = EncodeIpv4(real);
    std::memcpy(encoded.header + sizeof(ethernet), &header, sizeof(header));
  } else {
    const ipv6hdr header = EncodeIpv6(real);
    std::memcpy(encoded.header + sizeof(ethernet), &header, sizeof(header));
  }
  return encoded;
}

std::optional<RealEntry> DecodeReal(const shunt_real& real) {
  ethhdr ethernet{};
  std::memcpy(&ethernet, real.header, sizeof(ethernet));
  if (ethernet.h_proto == 0) return std::nullopt;  // no header was ever written
  RealEntry entry;
  entry.serves = real.state != SHUNT_REAL_ABSENT;
  OuterHeader outer;
  if (ethernet.h_proto == htons(ETH_P_IP)) {
    iphdr header{};
    std::memcpy(&header, real.header + sizeof(ethernet), sizeof(header));
    entry.address = IpAddress::FromIpv4(std::bit_cast<std::array<uint8_t, 4>>(header.daddr));
    outer.next_hop.source = IpAddress::FromIpv4(std::bit_cast<std::array<uint8_t, 4>>(header.saddr));
    outer.ttl = header.ttl;
  } else {
    ipv6hdr header{};
    std::memcpy(&header, real.header + sizeof(ethernet), sizeof(header));
    entry.address = IpAddress(std::bit_cast<IpAddress::Bytes>(header.daddr));
    outer.next_hop.source = IpAddress(std::bit_cast<IpAddress::Bytes>(header.saddr));
    outer.ttl = header.hop_limit;
  }
  if (real.egress_ifindex == 0) return entry;  // it has no next hop
  std::ranges::copy(ethernet.h_dest, outer.next_hop.gateway_mac.bytes.begin());
  std::ranges::copy(ethernet.h_source, outer.next_hop.local_mac.bytes.begin());
  outer.next_hop.interface_index = real.egress_ifindex;
  outer.next_hop.mtu_bytes = real.max_inner_bytes + OuterIpBytes(entry.address.family());
  outer.spread_bits = real.spread_bits;
  entry.outer = outer;
  return entry;
}

}  // namespace shunt

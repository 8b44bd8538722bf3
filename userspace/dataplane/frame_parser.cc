// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/frame_parser.h"

#include <fmt/format.h>
#include <shunt/abi_verdicts.h>

#include <algorithm>

#include "userspace/net/endpoint.h"

namespace shunt {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kVlanTagBytes = 4;
constexpr size_t kIpv4Bytes = 20;
constexpr size_t kIpv6Bytes = 40;
constexpr size_t kTcpBytes = 20;
constexpr size_t kUdpBytes = 8;

constexpr uint16_t kEtherTypeIpv4 = 0x0800;
constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr uint16_t kEtherTypeVlan = 0x8100;
constexpr uint16_t kEtherTypeServiceVlan = 0x88a8;

constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kFragmentHeader = 44;
// Hop-by-hop, routing, destination options, mobility, HIP, shim6.
constexpr std::array<uint8_t, 6> kExtensionHeaders = {0, 43, 60, 135, 139, 140};

constexpr uint8_t kFin = 0x01;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kAck = 0x10;

constexpr size_t kQuicVersionBytes = 5;  // the first byte and the version behind it
constexpr uint8_t kQuicLongHeader = 0x80;
constexpr uint32_t kQuicVersion1 = 1;           // RFC 9000
constexpr uint32_t kQuicVersion2 = 0x6b3343cf;  // RFC 9369

// Initial and 0-RTT packets: each version numbers its types as it likes. A version that nobody here knows may be a
// client's that asks for another.
bool BeginsQuicConnection(std::span<const uint8_t> payload) {
  if (payload.size() < kQuicVersionBytes || (payload[0] & kQuicLongHeader) == 0) return false;
  const unsigned type = payload[0] >> 4 & 3u;
  const uint32_t version =
      uint32_t{payload[1]} << 24 | uint32_t{payload[2]} << 16 | uint32_t{payload[3]} << 8 | uint32_t{payload[4]};
  if (version == kQuicVersion1) return type == 0 || type == 1;
  if (version == kQuicVersion2) return type == 1 || type == 2;
  return true;
}

// Reads the frame from front to back, one header a function; each is called only if the one before it held.
class Parser {
 public:
  explicit Parser(std::span<const uint8_t> frame) : frame_(frame) {}

  ParsedFrame Parse(uint32_t max_vlan_tags) {
    if (const auto ether_type = ReadEthernet(max_vlan_tags)) {
      *ether_type == kEtherTypeIpv4 ? ReadIpv4() : ReadIpv6();
    }
    return out_;
  }

 private:
  uint8_t Byte(size_t at) const { return frame_[at]; }
  uint16_t Word(size_t at) const { return static_cast<uint16_t>(frame_[at] << 8 | frame_[at + 1]); }

  void Pass(uint32_t verdict, std::string why) {
    out_.pass = verdict;
    out_.problem = std::move(why);
  }

  // Only the first flaw is noted.
  void Flaw(uint32_t verdict, std::string what) {
    if (out_.flaw != 0) return;
    out_.flaw = verdict;
    out_.problem = std::move(what);
  }

  std::optional<uint16_t> ReadEthernet(uint32_t max_vlan_tags) {
    if (frame_.size() < kEthernetBytes) {
      Pass(VERDICT_PASS_UNREADABLE, fmt::format("{} bytes are too few for an Ethernet header", frame_.size()));
      return std::nullopt;
    }
    size_t at = kEthernetBytes;
    uint16_t ether_type = Word(at - 2);
    while ((ether_type == kEtherTypeVlan || ether_type == kEtherTypeServiceVlan) && out_.vlan_tags < max_vlan_tags) {
      if (frame_.size() - at < kVlanTagBytes) {
        Pass(VERDICT_PASS_UNREADABLE, "the frame ends within a VLAN tag");
        return std::nullopt;
      }
      ether_type = Word(at + 2);
      at += kVlanTagBytes;
      ++out_.vlan_tags;
    }
    if (ether_type != kEtherTypeIpv4 && ether_type != kEtherTypeIpv6) {
      Pass(VERDICT_PASS_NOT_IP,
           fmt::format("EtherType 0x{:04x} behind {} VLAN tags is not IP", ether_type, out_.vlan_tags));
      return std::nullopt;
    }
    out_.ip_offset = at;
    return ether_type;
  }

  void ReadIpv4() {
    const size_t ip = out_.ip_offset;
    const size_t available = frame_.size() - ip;
    out_.family = Family::kIpv4;
    if (available < kIpv4Bytes || Byte(ip) >> 4 != 4) {
      return Pass(VERDICT_PASS_UNREADABLE, available < kIpv4Bytes ? "the frame ends within the IPv4 header"
                                                                  : "EtherType IPv4, but another IP version");
    }
    const size_t header_bytes = 4u * (Byte(ip) & 0x0f);
    const uint16_t fragment_field = Word(ip + 6);
    const unsigned offset = fragment_field & 0x1fffu;
    const bool more = (fragment_field & 0x2000) != 0;
    out_.traffic_class = Byte(ip + 1);
    out_.ip_bytes = Word(ip + 2);
    out_.protocol = Byte(ip + 9);
    out_.source = Ipv4At(ip + 12);
    out_.destination = Ipv4At(ip + 16);

    bool ports_readable = offset == 0;
    if (header_bytes < kIpv4Bytes) {
      Flaw(VERDICT_DROP_MALFORMED, fmt::format("IPv4 header length of {} bytes", header_bytes));
      ports_readable = false;
    }
    if (out_.ip_bytes < header_bytes) {
      Flaw(VERDICT_DROP_MALFORMED, fmt::format("total length {} is less than the header", out_.ip_bytes));
      ports_readable = false;
    }
    if (out_.ip_bytes > available) {
      Flaw(VERDICT_DROP_TRUNCATED, fmt::format("{} bytes of {} are there", available, out_.ip_bytes));
    }
    if (more || offset != 0) Flaw(VERDICT_DROP_FRAGMENT, fmt::format("a fragment, at byte {}", 8 * offset));
    if (header_bytes > kIpv4Bytes) {
      Flaw(VERDICT_DROP_IP_OPTIONS, fmt::format("{} bytes of IPv4 options", header_bytes - kIpv4Bytes));
    }
    if (ports_readable) ReadTransport(ip + header_bytes, ip + out_.ip_bytes);
  }

  void ReadIpv6() {
    const size_t ip = out_.ip_offset;
    const size_t available = frame_.size() - ip;
    out_.family = Family::kIpv6;
    if (available < kIpv6Bytes || Byte(ip) >> 4 != 6) {
      return Pass(VERDICT_PASS_UNREADABLE, available < kIpv6Bytes ? "the frame ends within the IPv6 header"
                                                                  : "EtherType IPv6, but another IP version");
    }
    const uint8_t next_header = Byte(ip + 6);
    out_.traffic_class = static_cast<uint8_t>(Word(ip) >> 4);
    out_.ip_bytes = kIpv6Bytes + Word(ip + 4);
    out_.source = Ipv6At(ip + 8);
    out_.destination = Ipv6At(ip + 24);

    if (out_.ip_bytes > available) {
      Flaw(VERDICT_DROP_TRUNCATED, fmt::format("{} bytes of {} are there", available, out_.ip_bytes));
    }
    if (out_.source.family() == Family::kIpv4 || out_.destination.family() == Family::kIpv4) {
      Flaw(VERDICT_DROP_MAPPED_ADDRESS, "an IPv6 packet that carries an IPv4-mapped address");
    }
    if (next_header == kFragmentHeader) {
      Flaw(VERDICT_DROP_FRAGMENT, "an IPv6 fragment");
      // "Can be read" is about the frame: whatever the payload length says, it is a flaw or none of ours.
      if (available > kIpv6Bytes) out_.protocol = Byte(ip + kIpv6Bytes);
    } else if (std::ranges::find(kExtensionHeaders, next_header) != kExtensionHeaders.end()) {
      Flaw(VERDICT_DROP_IP_OPTIONS, fmt::format("IPv6 extension header {}", next_header));
    } else {
      out_.protocol = next_header;
      ReadTransport(ip + kIpv6Bytes, ip + out_.ip_bytes);
    }
  }

  // `end` is where the IP header says the packet ends.
  void ReadTransport(size_t begin, size_t end) {
    end = std::min(end, frame_.size());
    const size_t payload_bytes = end > begin ? end - begin : 0;
    if (out_.protocol != kTcp && out_.protocol != kUdp) return;
    const bool tcp = out_.protocol == kTcp;
    if (payload_bytes < (tcp ? kTcpBytes : kUdpBytes)) {
      return Flaw(VERDICT_DROP_TRUNCATED, fmt::format("{} bytes are too few for a {} header", payload_bytes,
                                                      ToString(tcp ? Protocol::kTcp : Protocol::kUdp)));
    }
    out_.ports_known = true;
    out_.source_port = Word(begin);
    out_.destination_port = Word(begin + 2);
    // TCP says how long its header is, UDP how long header and data are; the bounds are alike.
    const size_t least = tcp ? kTcpBytes : kUdpBytes;
    const size_t claimed = tcp ? 4u * (Byte(begin + 12) >> 4) : Word(begin + 4);
    if (claimed < least || claimed > payload_bytes) {
      Flaw(VERDICT_DROP_MALFORMED,
           fmt::format("{} length of {} bytes in a payload of {}", tcp ? "TCP header" : "UDP", claimed, payload_bytes));
    }
    if (tcp) {
      const uint8_t flags = Byte(begin + 13);
      out_.syn = (flags & (kSyn | kAck | kRst)) == kSyn;
      out_.rst = (flags & kRst) != 0;
      out_.closes = (flags & (kFin | kRst)) != 0;
      out_.has_data = claimed < payload_bytes;
    } else if (out_.flaw == 0) {  // then the length field holds
      out_.quic_begins = BeginsQuicConnection(frame_.subspan(begin + kUdpBytes, claimed - kUdpBytes));
    }
  }

  IpAddress Ipv4At(size_t at) const {
    return IpAddress::FromIpv4({Byte(at), Byte(at + 1), Byte(at + 2), Byte(at + 3)});
  }

  IpAddress Ipv6At(size_t at) const {
    IpAddress::Bytes bytes{};
    std::copy_n(frame_.begin() + static_cast<std::ptrdiff_t>(at), bytes.size(), bytes.begin());
    return IpAddress(bytes);
  }

  std::span<const uint8_t> frame_;
  ParsedFrame out_;
};

std::string ProtocolText(const std::optional<uint8_t>& protocol) {
  if (!protocol) return "unknown protocol";
  if (*protocol == kTcp) return "tcp";
  if (*protocol == kUdp) return "udp";
  return fmt::format("protocol {}", *protocol);
}

}  // namespace

ParsedFrame ParseFrame(std::span<const uint8_t> frame, uint32_t max_vlan_tags) {
  return Parser(frame).Parse(max_vlan_tags);
}

std::string Describe(const ParsedFrame& parsed) {
  if (parsed.pass != 0) return parsed.problem;
  std::string text = parsed.vlan_tags == 0   ? ""
                     : parsed.vlan_tags == 1 ? "behind a VLAN tag: "
                                             : fmt::format("behind {} VLAN tags: ", parsed.vlan_tags);
  text += fmt::format("IPv{} {} ", static_cast<int>(parsed.family), ProtocolText(parsed.protocol));
  if (parsed.ports_known) {
    text += fmt::format("{} → {}", Endpoint{parsed.source, parsed.source_port}.ToString(),
                        Endpoint{parsed.destination, parsed.destination_port}.ToString());
  } else {
    text += fmt::format("{} → {}, no ports", parsed.source.ToString(), parsed.destination.ToString());
  }
  text += fmt::format(", {} bytes", parsed.ip_bytes);
  if (parsed.flaw != 0) text += fmt::format("; flawed: {}", parsed.problem);
  return text;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The first stage of the packet model: one Ethernet frame → what the later stages ask about it. Written from the
// rules "PASS until it is ours" and "Opening packets" in bpf/README.md, not from the program. Pure; called by
// packet_model.cc, and by bgp/ for what comes back of its own packets. Not here: tables, and whether a packet is for a
// VIP.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "userspace/net/address.h"

namespace shunt {

struct ParsedFrame {
  uint32_t pass = 0;    // the verdict if the frame cannot be anybody's: PASS_NOT_IP or PASS_UNREADABLE; 0 = go on
  uint32_t flaw = 0;    // the verdict if the packet turns out to be for a VIP; 0 = none
  std::string problem;  // what `pass` or `flaw` means for this frame

  uint32_t vlan_tags = 0;
  Family family = Family::kIpv4;
  size_t ip_offset = 0;       // of the IP header
  size_t ip_bytes = 0;        // as the IP header says
  uint8_t traffic_class = 0;  // or TOS
  IpAddress source;
  IpAddress destination;
  std::optional<uint8_t> protocol;  // unset: behind headers that are not looked behind

  bool ports_known = false;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  bool syn = false;          // TCP: opens a flow: SYN without ACK and without RST
  bool rst = false;          // TCP: resets one
  bool closes = false;       // TCP: FIN or RST
  bool has_data = false;     // TCP: behind the header
  bool quic_begins = false;  // UDP: the payload is a QUIC long header that begins a connection
};

ParsedFrame ParseFrame(std::span<const uint8_t> frame, uint32_t max_vlan_tags);

// One line for people: "IPv4 tcp 198.51.100.7:40000 → 203.0.113.10:443, 60 bytes".
std::string Describe(const ParsedFrame& parsed);

}  // namespace shunt

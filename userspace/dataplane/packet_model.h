// SPDX-License-Identifier: Apache-2.0
// The whole packet walk in plain C++: one frame and the tables in; verdict, frame and a sentence per stage out.
// Written from the rules in bpf/README.md, not from the program, so that each checks the other. `explain`
// shows its steps. Not here: reading the frame (frame_parser.h), the bytes in front of it (outer_header.h), and
// DROP_NO_HEADROOM, which is the driver's doing and no property of a frame. Pure; any thread.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "userspace/dataplane/dataplane.h"

namespace shunt {

struct DataplaneTables {
  std::map<uint32_t, RealEntry> reals;  // by entry
  std::map<uint32_t, Ring> rings;       // by ring index
  std::map<VipKey, VipEntry> vips;
  std::map<IpAddress, AddressEntry> addresses;
  std::map<std::tuple<uint32_t, Endpoint, uint16_t>, uint16_t> flows;  // VIP id, source, destination port
};

DataplaneTables TablesOf(const Plan& plan);

struct WalkStep {
  std::string stage;     // "parse", "vip", "flow table", "ring", "real", "encapsulate", "account"
  std::string sentence;  // what was found
};

struct Walk {
  uint32_t verdict = 0;
  std::vector<uint8_t> frame;  // as it leaves
  std::vector<WalkStep> steps;
  std::optional<VipKey> vip;  // as configured: port 0 if the any-port VIP matched
  uint32_t vip_id = 0;
  uint16_t real_index = 0;  // 0 = none chosen
  uint32_t real_entry = 0;
  uint64_t inner_bytes = 0;     // IP packet, from its header on
  bool counts_traffic = false;  // the VIP's and the real's counters go up
  bool is_new_flow = false;
  bool remember = false;  // tracking all: (vip_id, source, destination_port) → real_index enters the table
  Endpoint source;
  uint16_t destination_port = 0;
};

// Pure: changes no table.
Walk WalkFrame(const DataplaneTables& tables, std::span<const uint8_t> frame, uint32_t ingress_ifindex,
               uint32_t max_vlan_tags);

// A first packet of the flow (TCP: SYN; UDP: 8 bytes of payload), Ethernet and IP headers included, all checksums
// right. IPv6 if either address is.
std::vector<uint8_t> FirstFrame(const Endpoint& source, const Endpoint& destination, Protocol protocol);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The whole packet walk in plain C++: one frame and the tables in; verdict, frame, what is to be remembered and a
// sentence per stage out. Written from the rules in bpf/README.md, not from the program, so that each checks the
// other. `explain` shows its steps. Not here: reading the frame (frame_parser.h), the bytes in front of it
// (outer_header.h), where flows stand in the flow table, and DROP_NO_HEADROOM, which is the driver's doing and no
// property of a frame. Any thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "userspace/dataplane/dataplane.h"

namespace shunt {

using FlowKey = std::tuple<uint32_t, Endpoint, uint16_t>;  // VIP id, source, destination port

// One entry of the flow table.
struct TrackedFlow {
  uint16_t real_index = 0;
  uint32_t seen_s = 0;     // when its last packet came, or up to SHUNT_FLOW_STAMP_LAG_SECONDS before
  bool confirmed = false;  // a packet was seen after the one that opened it
  bool closing = false;    // TCP: the client sent FIN or RST, and no data since
  uint32_t changes = 0;    // of this entry; wraps around
  bool operator==(const TrackedFlow&) const = default;
};

struct RefusalCount {
  uint64_t count = 0;
  uint32_t last_s = 0;  // when the last one was
  bool operator==(const RefusalCount&) const = default;
};

struct DataplaneTables {
  std::map<uint32_t, RealEntry> reals;                    // by entry
  std::map<uint32_t, std::shared_ptr<const Ring>> rings;  // by VIP id
  std::map<VipKey, VipEntry> vips;
  std::map<IpAddress, AddressEntry> addresses;
  std::map<FlowKey, TrackedFlow> flows;
  std::map<uint32_t, RefusalCount> refusals;  // by VIP id; no entry: none

  // The moment of the walk.
  uint32_t now_s = 0;
  bool has_room = true;       // the flow table takes another flow
  bool has_allowance = true;  // this second takes another entry

  std::map<uint32_t, std::string> interface_names;  // for sentences; a missing one is told by its index
};

DataplaneTables TablesOf(const Plan& plan);

struct WalkStep {
  std::string stage;     // "parse", "vip", "flow table", "ring", "real", "encapsulate", "account"
  std::string sentence;  // what was found
};

// What a packet does to the flow table.
enum class FlowEffect : uint8_t {
  kNone,
  kRemember,  // (vip_id, source, destination_port) → real_index enters the table
  kTouch,     // it hit its entry
  kForget,    // its entry goes: it opens a flow that need not be remembered
  kRefuse,    // it should have been remembered and could not be
};

struct Walk {
  uint32_t verdict = 0;
  std::vector<uint8_t> frame;  // as it leaves
  std::vector<WalkStep> steps;
  std::optional<VipKey> vip;  // as configured: port 0 if the any-port VIP matched
  uint32_t vip_id = 0;
  Endpoint source;
  uint16_t destination_port = 0;
  uint64_t flow_hash = 0;
  bool asks_flow_table = false;  // what the table remembers of this flow matters

  uint16_t real_index = 0;  // 0 = none chosen
  uint32_t real_entry = 0;
  FlowEffect effect = FlowEffect::kNone;  // whatever the verdict
  bool confirms = false;                  // kRemember, kTouch: the entry is a confirmed one now
  std::optional<bool> closing;            // the same: it is closing now, or not any more

  uint64_t inner_bytes = 0;     // IP packet, from its header on
  bool counts_traffic = false;  // the VIP's and the real's counters go up, and the flow is one of the real's
  bool is_new_flow = false;
};

enum class Steps : bool { kOmit, kTell };  // sentences take most of a walk's time

// Pure: changes no table.
Walk WalkFrame(const DataplaneTables& tables, std::span<const uint8_t> frame, uint32_t ingress_ifindex,
               uint32_t max_vlan_tags, Steps steps = Steps::kTell);

// The flow of a packet that is ours.
FlowKey FlowOf(const Walk& walk);

// What the walk leaves behind in `flows` and `refusals`.
void Apply(const Walk& walk, DataplaneTables& tables);

// A first packet of the flow (TCP: SYN; UDP: 8 bytes that begin a QUIC connection), Ethernet and IP headers included,
// all checksums right. IPv6 if either address is.
std::vector<uint8_t> FirstFrame(const Endpoint& source, const Endpoint& destination, Protocol protocol);

}  // namespace shunt

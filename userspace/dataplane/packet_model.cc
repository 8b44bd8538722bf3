// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/packet_model.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <shunt/abi_verdicts.h>

#include <utility>

#include "userspace/dataplane/flow_hash.h"
#include "userspace/dataplane/frame_parser.h"
#include "userspace/dataplane/outer_header.h"

namespace shunt {
namespace {

constexpr uint32_t kContinue = VERDICT_CONTINUE;

// The stages in the order of bpf/README.md. Each returns a verdict, and only kContinue goes on.
class Walker {
 public:
  Walker(const DataplaneTables& tables, std::span<const uint8_t> frame, uint32_t ingress_ifindex)
      : tables_(tables), frame_(frame), ingress_ifindex_(ingress_ifindex) {}

  Walk Run(uint32_t max_vlan_tags) {
    walk_.frame.assign(frame_.begin(), frame_.end());
    uint32_t verdict = ParseStage(max_vlan_tags);
    if (verdict == kContinue) verdict = VipStage();
    if (verdict == kContinue) verdict = FlowStage();
    if (verdict == kContinue) verdict = RealStage();
    if (verdict == kContinue) verdict = EncapsulateStage();
    walk_.verdict = verdict;
    return std::move(walk_);
  }

 private:
  uint32_t ParseStage(uint32_t max_vlan_tags) {
    packet_ = ParseFrame(frame_, max_vlan_tags);
    Note("parse", Describe(packet_));
    if (packet_.pass != 0) return packet_.pass;
    walk_.inner_bytes = packet_.ip_bytes;
    walk_.source = {packet_.source, packet_.source_port};
    walk_.destination_port = packet_.destination_port;
    return kContinue;
  }

  uint32_t VipStage() {
    if (!packet_.ports_known) return AddressStage();
    const VipKey exact{packet_.destination, packet_.destination_port, static_cast<Protocol>(*packet_.protocol)};
    const VipKey any_port{exact.address, 0, exact.protocol};
    auto found = tables_.vips.find(exact);
    if (found == tables_.vips.end()) found = tables_.vips.find(any_port);
    if (found == tables_.vips.end()) {
      const std::string text = Endpoint{exact.address, exact.port}.ToString();
      Note("vip", fmt::format("neither {}/{} nor {} is a VIP", text, ToString(exact.protocol), any_port.ToString()));
      return VERDICT_PASS_NOT_VIP;
    }
    walk_.vip = found->first;
    walk_.vip_id = found->second.id;
    vip_ = &found->second;
    Note("vip", fmt::format("{} matches ({} port)", found->first.ToString(), found->first.port == 0 ? "any" : "exact"));
    return packet_.flaw;
  }

  // Without ports: is the address that of a VIP, and does its protocol concern us?
  uint32_t AddressStage() {
    const auto found = tables_.addresses.find(packet_.destination);
    const std::string address = packet_.destination.ToString();
    if (found == tables_.addresses.end()) {
      Note("vip", fmt::format("no VIP has the address {}", address));
      return VERDICT_PASS_NOT_VIP;
    }
    const auto note = [&](std::string_view what) {
      Note("vip", fmt::format("{} is a VIP's address; {}", address, what));
    };
    if (!packet_.protocol) {
      note("the protocol cannot be told");
      return packet_.flaw;
    }
    const uint8_t protocol = *packet_.protocol;
    if (protocol == (packet_.family == Family::kIpv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6})) {
      note("ICMP is the host's");
      return VERDICT_PASS_ICMP;
    }
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
      note(fmt::format("protocol {} is the host's", protocol));
      return VERDICT_PASS_OTHER_PROTOCOL;
    }
    const bool ours = protocol == IPPROTO_TCP ? found->second.has_tcp : found->second.has_udp;
    const std::string_view name = ToString(static_cast<Protocol>(protocol));
    note(ours ? fmt::format("it has a VIP of {}", name) : fmt::format("none of its VIPs is {}", name));
    return ours ? packet_.flaw : uint32_t{VERDICT_PASS_NOT_VIP};
  }

  uint32_t FlowStage() {
    flow_hash_ = FlowHash(vip_->flow_hash_key, walk_.source, walk_.destination_port);
    if (vip_->tracking == Tracking::kNone) {
      Note("flow table", "not asked: tracking is none");
    } else if (FindFlow()) {
      Note("ring", "not asked: the flow is remembered");
      flow_found_ = true;
      return kContinue;
    }
    return RingStage();
  }

  bool FindFlow() {
    const auto found = tables_.flows.find({vip_->id, walk_.source, walk_.destination_port});
    if (found == tables_.flows.end()) {
      Note("flow table", "does not know the flow");
      return false;
    }
    const auto real = tables_.reals.find(vip_->real_base + found->second);
    if (real == tables_.reals.end()) {
      Note("flow table", fmt::format("remembers real number {}, which is gone: a miss", found->second));
      return false;
    }
    walk_.real_index = found->second;
    Note("flow table", fmt::format("remembers real {}", real->second.address.ToString()));
    return true;
  }

  uint32_t RingStage() {
    if (vip_->ring_slots == 0) {
      Note("ring", "has no slots: no real takes traffic");
      return VERDICT_DROP_NO_REAL;
    }
    const auto ring = tables_.rings.find(vip_->ring_index);
    if (ring == tables_.rings.end()) {
      Note("ring", fmt::format("ring {} is not there", vip_->ring_index));
      return VERDICT_DROP_NO_REAL;
    }
    const uint32_t slot = SlotOf(flow_hash_, vip_->ring_slots);
    // A ring that is shorter than its VIP says has no such slot.
    walk_.real_index = slot < ring->second.size() ? ring->second[slot].current_real : uint16_t{0};
    Note("ring", fmt::format("hash 0x{:016x} → slot {} of {} → {}", flow_hash_, slot, vip_->ring_slots,
                             walk_.real_index == 0 ? "empty" : "real " + RealText()));
    return walk_.real_index == 0 ? uint32_t{VERDICT_DROP_NO_REAL} : kContinue;
  }

  // The address of the chosen real, or what can be said of one that is absent.
  std::string RealText() const {
    const auto real = tables_.reals.find(vip_->real_base + walk_.real_index);
    return real != tables_.reals.end() ? real->second.address.ToString() : fmt::format("number {}", walk_.real_index);
  }

  uint32_t RealStage() {
    walk_.real_entry = vip_->real_base + walk_.real_index;
    const auto found = tables_.reals.find(walk_.real_entry);
    if (found == tables_.reals.end()) {
      Note("real", fmt::format("entry {} of the real table is empty", walk_.real_entry));
      return VERDICT_DROP_NO_REAL;
    }
    real_ = &found->second;
    if (!real_->outer) {
      Note("real", fmt::format("{} has no next hop", real_->address.ToString()));
      return VERDICT_DROP_NO_NEXT_HOP;
    }
    inner_ = {packet_.family, packet_.ip_bytes, packet_.traffic_class, static_cast<uint32_t>(flow_hash_)};
    const NextHop& hop = real_->outer->next_hop;
    Note("real", fmt::format("{} by {} dev ifindex {}, outer IPv{} {} → {}, {} {}", real_->address.ToString(),
                             hop.gateway_mac.ToString(), hop.interface_index, static_cast<int>(real_->address.family()),
                             OuterSourceOf(*real_, inner_).ToString(), real_->address.ToString(),
                             real_->address.family() == Family::kIpv4 ? "TTL" : "hop limit", real_->outer->ttl));
    if (packet_.ip_bytes > MaxInnerBytes(*real_)) {
      Note("encapsulate",
           fmt::format("{} + {} bytes exceed the MTU of {}", packet_.ip_bytes, OuterIpBytes(*real_), hop.mtu_bytes));
      return VERDICT_DROP_TOO_BIG;
    }
    return kContinue;
  }

  uint32_t EncapsulateStage() {
    std::vector<uint8_t> frame = MakeOuterHeader(*real_, inner_);
    const auto packet = frame_.subspan(packet_.ip_offset);
    frame.insert(frame.end(), packet.begin(), packet.end());
    const uint32_t egress = real_->outer->next_hop.interface_index;
    const bool same = egress == ingress_ifindex_;
    const std::string leaves_by = same ? "the interface it came in by" : fmt::format("interface {}", egress);
    Note("encapsulate",
         fmt::format("{} + {} bytes fit the MTU of {}; a frame of {} bytes leaves by {}", packet_.ip_bytes,
                     OuterIpBytes(*real_), real_->outer->next_hop.mtu_bytes, frame.size(), leaves_by));
    walk_.frame = std::move(frame);
    AccountStage();
    return same ? VERDICT_TX_ENCAPSULATED : VERDICT_REDIRECT_ENCAPSULATED;
  }

  // Reached by encapsulated packets alone: nothing else counts as traffic or is remembered.
  void AccountStage() {
    walk_.counts_traffic = true;
    walk_.remember = vip_->tracking == Tracking::kAll && !flow_found_;
    walk_.is_new_flow = vip_->tracking == Tracking::kAll ? walk_.remember : packet_.syn_without_ack;
    if (walk_.is_new_flow) {
      Note("account", walk_.remember ? "a new flow; the flow table remembers it" : "a new flow (SYN)");
    }
  }

  void Note(std::string stage, std::string sentence) { walk_.steps.push_back({std::move(stage), std::move(sentence)}); }

  const DataplaneTables& tables_;
  const std::span<const uint8_t> frame_;
  const uint32_t ingress_ifindex_;
  ParsedFrame packet_;
  const VipEntry* vip_ = nullptr;
  const RealEntry* real_ = nullptr;
  InnerPacket inner_;
  uint64_t flow_hash_ = 0;
  bool flow_found_ = false;
  Walk walk_;
};

}  // namespace

DataplaneTables TablesOf(const Plan& plan) {
  DataplaneTables tables;
  for (const auto& [key, vip] : plan.vips) {
    tables.vips[key] = vip.entry;
    tables.rings[vip.entry.ring_index] = *vip.ring;
    for (const auto& [index, real] : vip.reals) tables.reals[vip.entry.real_base + index] = real;
  }
  tables.addresses = AddressesOf(plan);
  return tables;
}

Walk WalkFrame(const DataplaneTables& tables, std::span<const uint8_t> frame, uint32_t ingress_ifindex,
               uint32_t max_vlan_tags) {
  return Walker(tables, frame, ingress_ifindex).Run(max_vlan_tags);
}

}  // namespace shunt

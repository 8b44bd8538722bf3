// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/packet_model.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <shunt/abi_limits.h>
#include <shunt/abi_verdicts.h>

#include <string_view>
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
  Walker(const DataplaneTables& tables, std::span<const uint8_t> frame, uint32_t ingress_ifindex, Steps steps)
      : tables_(tables), frame_(frame), ingress_ifindex_(ingress_ifindex), steps_(steps) {}

  Walk Run(uint32_t max_vlan_tags) {
    uint32_t verdict = ParseStage(max_vlan_tags);
    if (verdict == kContinue) verdict = VipStage();
    if (verdict == kContinue) verdict = FlowStage();
    if (verdict == kContinue) verdict = RealStage();
    if (verdict == kContinue) verdict = EncapsulateStage();
    walk_.verdict = verdict;
    if (walk_.frame.empty()) walk_.frame.assign(frame_.begin(), frame_.end());  // it was not encapsulated
    return std::move(walk_);
  }

 private:
  uint32_t ParseStage(uint32_t max_vlan_tags) {
    packet_ = ParseFrame(frame_, max_vlan_tags);
    Note("parse", [&] { return Describe(packet_); });
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
      Note("vip", [&] {
        return fmt::format("neither {}/{} nor {} is a VIP", Endpoint{exact.address, exact.port}.ToString(),
                           ToString(exact.protocol), any_port.ToString());
      });
      return VERDICT_PASS_NOT_VIP;
    }
    walk_.vip = found->first;
    walk_.vip_id = found->second.id;
    vip_ = &found->second;
    Note("vip", [&] {
      return fmt::format("{} matches ({} port)", walk_.vip->ToString(), walk_.vip->port == 0 ? "any" : "exact");
    });
    return packet_.flaw;
  }

  // Without ports: is the address that of a VIP, and does its protocol concern us?
  uint32_t AddressStage() {
    const auto found = tables_.addresses.find(packet_.destination);
    if (found == tables_.addresses.end()) {
      Note("vip", [&] { return "no VIP has the address " + packet_.destination.ToString(); });
      return VERDICT_PASS_NOT_VIP;
    }
    const auto note = [&](std::string_view what) {
      Note("vip", [&] { return fmt::format("{} is a VIP's address; {}", packet_.destination.ToString(), what); });
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

  // The ring slot says whether the flow table is asked; with tracking all it is asked first.
  uint32_t FlowStage() {
    const bool udp = packet_.protocol == IPPROTO_UDP;
    plain_udp_ = udp && !vip_->quic;
    opens_ = plain_udp_ || (udp ? packet_.quic_begins : packet_.syn);
    walk_.flow_hash = FlowHash(vip_->flow_hash_key, walk_.source, walk_.destination_port);
    const bool track_all = vip_->tracking == Tracking::kAll;
    if (track_all && FindFlow()) {
      Note("ring", [] { return "not asked: the flow is remembered"; });
      return kContinue;
    }
    const RingSlot slot = ReadSlot();
    if (track_all) {
      if (slot.current_real != 0) RememberOn(slot.current_real, slot, "a new flow");
    } else if (slot.previous_real != 0) {
      if (!FindFlow()) MissOf(slot);
    } else {
      walk_.real_index = slot.current_real;
    }
    return walk_.real_index == 0 ? uint32_t{VERDICT_DROP_NO_REAL} : kContinue;
  }

  // An entry whose real is absent or down is none; nor is, for a packet that opens a flow, that of one that has ended.
  bool FindFlow() {
    walk_.asks_flow_table = true;
    const auto found = tables_.flows.find({vip_->id, walk_.source, walk_.destination_port});
    has_entry_ = found != tables_.flows.end();
    if (!has_entry_) {
      Note("flow table", [] { return "does not know the flow"; });
      return false;
    }
    const uint16_t real_index = found->second.real_index;
    const uint32_t entry = vip_->real_base + real_index;
    if (!ServingReal(entry)) {
      Note("flow table", [&] {
        return fmt::format("remembers real {}, which is {}: a miss", RealText(real_index),
                           tables_.reals.contains(entry) ? "down" : "gone");
      });
      return false;
    }
    if (opens_ && found->second.closing) {
      Note("flow table",
           [&] { return fmt::format("remembers real {} for a flow that has ended: a miss", RealText(real_index)); });
      return false;
    }
    walk_.real_index = real_index;
    walk_.effect = FlowEffect::kTouch;
    MarkEntry();
    Note("flow table", [&] { return "remembers real " + RealText(real_index); });
    return true;
  }

  // What the packet says of its flow: it goes on, it ends, it does not end yet.
  void MarkEntry() {
    walk_.confirms = !opens_ || plain_udp_;
    if (packet_.closes && !opens_) walk_.closing = true;
    if (packet_.has_data && !packet_.closes) walk_.closing = false;
  }

  // Without slots, or if the ring is shorter than its VIP says: an empty one.
  RingSlot ReadSlot() {
    const auto ring = tables_.rings.find(vip_->id);
    if (vip_->ring_slots == 0 || ring == tables_.rings.end()) {
      Note("ring", [] { return "has no slots: no real takes traffic"; });
      return {};
    }
    const uint32_t number = SlotOf(walk_.flow_hash, vip_->ring_slots);
    const RingSlot slot = number < ring->second->size() ? (*ring->second)[number] : RingSlot{};
    Note("ring", [&] {
      return fmt::format("hash 0x{:016x} → slot {} of {}{}", walk_.flow_hash, number, vip_->ring_slots, StateOf(slot));
    });
    if (slot.previous_real == 0 && vip_->tracking != Tracking::kAll) {
      Note("flow table", [] { return "not asked: the slot is stable"; });
    }
    return slot;
  }

  // The flow table was asked and knows nothing.
  void MissOf(const RingSlot& slot) {
    if (slot.previous_real == slot.current_real) {
      walk_.real_index = slot.current_real;
      if (has_entry_ && opens_) walk_.effect = FlowEffect::kForget;
      return;
    }
    const bool held = slot.hold || (slot.current_real == 0 && plain_udp_);
    if (held) {
      RememberOn(slot.previous_real, slot, "it stays with the slot's previous real for now");
    } else if (!opens_) {
      RememberOn(slot.previous_real, slot, "an old flow, for this packet opens none");
    } else if (slot.current_real == 0) {
      Note("flow table", [] { return "a new flow, and no real takes new flows"; });
    } else if (IsLatelyRefused()) {
      RememberOn(slot.previous_real, slot, "it stays with the previous real: a flow was refused some seconds ago");
    } else {
      RememberOn(slot.current_real, slot, "a new flow");
    }
  }

  bool IsLatelyRefused() const {
    const auto refusals = tables_.refusals.find(vip_->id);
    return refusals != tables_.refusals.end() && tables_.now_s - refusals->second.last_s <= SHUNT_SYN_HOLD_SECONDS;
  }

  // Remembers the flow unless this packet ends it. Where that cannot be, the flow goes, now and later, as one that is
  // not remembered: to the previous real. Tracking all always finds a place.
  void RememberOn(uint16_t real_index, const RingSlot& slot, std::string_view why) {
    walk_.real_index = real_index;
    if (packet_.rst) {
      Note("flow table",
           [&] { return fmt::format("{} → {}, not remembered: it is reset", why, RealText(real_index)); });
      return;
    }
    const bool has_place = has_entry_ || (tables_.has_room && tables_.has_allowance);
    if (vip_->tracking != Tracking::kAll && !has_place) {
      walk_.effect = FlowEffect::kRefuse;
      walk_.real_index = slot.previous_real;
      Note("flow table",
           [&] { return fmt::format("{}, but it cannot be remembered: → {}", why, RealText(slot.previous_real)); });
      return;
    }
    walk_.effect = FlowEffect::kRemember;
    MarkEntry();
    Note("flow table", [&] { return fmt::format("{} → {}, remembered", why, RealText(real_index)); });
  }

  // What follows "slot 5 of 7".
  std::string StateOf(const RingSlot& slot) const {
    const auto& [current, previous, hold] = slot;
    if (previous == 0 || vip_->tracking == Tracking::kAll) {
      return current == 0 ? " → empty" : " → real " + RealText(current);
    }
    if (previous == current) {
      return fmt::format(", settled: flows go to {}, but for those remembered elsewhere", RealText(current));
    }
    if (current == 0) return fmt::format(", moving from {}: no real takes new flows", RealText(previous));
    return fmt::format(", moving from {} to {}{}", RealText(previous), RealText(current),
                       hold ? fmt::format(", held: new flows, too, go to {}", RealText(previous)) : "");
  }

  // The address of a real, or what can be said of one that is absent.
  std::string RealText(uint16_t real_index) const {
    const auto real = tables_.reals.find(vip_->real_base + real_index);
    return real != tables_.reals.end() ? real->second.address.ToString() : fmt::format("number {}", real_index);
  }

  // Null if there is no such real, or if it is down.
  const RealEntry* ServingReal(uint32_t entry) const {
    const auto real = tables_.reals.find(entry);
    return real != tables_.reals.end() && real->second.serves ? &real->second : nullptr;
  }

  std::string InterfaceText(uint32_t interface_index) const {
    const auto name = tables_.interface_names.find(interface_index);
    return name != tables_.interface_names.end() ? name->second : fmt::format("interface {}", interface_index);
  }

  uint32_t RealStage() {
    walk_.real_entry = vip_->real_base + walk_.real_index;
    real_ = ServingReal(walk_.real_entry);
    if (!real_) {
      Note("real", [&] {
        return tables_.reals.contains(walk_.real_entry)
                   ? RealText(walk_.real_index) + " is down"
                   : fmt::format("entry {} of the real table is empty", walk_.real_entry);
      });
      return VERDICT_DROP_NO_REAL;
    }
    if (!real_->outer) {
      Note("real", [&] { return real_->address.ToString() + " has no next hop"; });
      return VERDICT_DROP_NO_NEXT_HOP;
    }
    inner_ = {packet_.family, packet_.ip_bytes, packet_.traffic_class, static_cast<uint32_t>(walk_.flow_hash)};
    const NextHop& hop = real_->outer->next_hop;
    Note("real", [&] {
      return fmt::format("{} by {} on {}, outer IPv{} {} → {}, {} {}", real_->address.ToString(),
                         hop.gateway_mac.ToString(), InterfaceText(hop.interface_index),
                         static_cast<int>(real_->address.family()), OuterSourceOf(*real_, inner_).ToString(),
                         real_->address.ToString(), real_->address.family() == Family::kIpv4 ? "TTL" : "hop limit",
                         real_->outer->ttl);
    });
    if (packet_.ip_bytes > MaxInnerBytes(*real_)) {
      Note("encapsulate", [&] {
        return fmt::format("{} + {} bytes exceed the MTU of {}", packet_.ip_bytes, OuterIpBytes(*real_), hop.mtu_bytes);
      });
      return VERDICT_DROP_TOO_BIG;
    }
    return kContinue;
  }

  uint32_t EncapsulateStage() {
    walk_.frame = MakeOuterHeader(*real_, inner_);
    const auto packet = frame_.subspan(packet_.ip_offset);
    walk_.frame.insert(walk_.frame.end(), packet.begin(), packet.end());
    const NextHop& hop = real_->outer->next_hop;
    const bool same = hop.interface_index == ingress_ifindex_;
    Note("encapsulate", [&] {
      return fmt::format("{} + {} bytes fit the MTU of {}; a frame of {} bytes leaves by {}", packet_.ip_bytes,
                         OuterIpBytes(*real_), hop.mtu_bytes, walk_.frame.size(),
                         same ? "the interface it came in by" : InterfaceText(hop.interface_index));
    });
    AccountStage();
    return same ? VERDICT_TX_ENCAPSULATED : VERDICT_REDIRECT_ENCAPSULATED;
  }

  // Reached by encapsulated packets alone: nothing else counts as traffic.
  void AccountStage() {
    walk_.counts_traffic = true;
    walk_.is_new_flow = vip_->tracking == Tracking::kAll ? walk_.effect == FlowEffect::kRemember
                                                         : opens_ && !plain_udp_ && walk_.effect != FlowEffect::kTouch;
    if (walk_.is_new_flow) Note("account", [] { return "a new flow"; });
  }

  template <class Sentence>
  void Note(std::string_view stage, const Sentence& sentence) {
    if (steps_ == Steps::kTell) walk_.steps.push_back({std::string(stage), sentence()});
  }

  const DataplaneTables& tables_;
  const std::span<const uint8_t> frame_;
  const uint32_t ingress_ifindex_;
  const Steps steps_;
  ParsedFrame packet_;
  bool opens_ = false;      // this packet opens a flow
  bool plain_udp_ = false;  // UDP that does not tell which packets do
  bool has_entry_ = false;  // the flow has an entry, be it of a real that is gone
  const VipEntry* vip_ = nullptr;
  const RealEntry* real_ = nullptr;
  InnerPacket inner_;
  Walk walk_;
};

}  // namespace

DataplaneTables TablesOf(const Plan& plan) {
  DataplaneTables tables;
  for (const auto& [key, vip] : plan.vips) {
    tables.vips[key] = vip.entry;
    tables.rings[vip.entry.id] = vip.ring;
    for (const auto& [index, real] : vip.reals) tables.reals[vip.entry.real_base + index] = real;
  }
  tables.addresses = AddressesOf(plan);
  return tables;
}

Walk WalkFrame(const DataplaneTables& tables, std::span<const uint8_t> frame, uint32_t ingress_ifindex,
               uint32_t max_vlan_tags, Steps steps) {
  return Walker(tables, frame, ingress_ifindex, steps).Run(max_vlan_tags);
}

FlowKey FlowOf(const Walk& walk) { return {walk.vip_id, walk.source, walk.destination_port}; }

void Apply(const Walk& walk, DataplaneTables& tables) {
  const FlowKey key = FlowOf(walk);
  switch (walk.effect) {
    case FlowEffect::kNone:
      break;
    case FlowEffect::kRemember: {
      TrackedFlow& flow = tables.flows[key];
      flow = {walk.real_index, tables.now_s, walk.confirms, walk.closing.value_or(false), flow.changes + 1};
      break;
    }
    case FlowEffect::kTouch: {
      TrackedFlow& flow = tables.flows.at(key);
      const bool lags = tables.now_s - flow.seen_s >= SHUNT_FLOW_STAMP_LAG_SECONDS;
      const bool confirmed = flow.confirmed || walk.confirms;
      const bool closing = walk.closing.value_or(flow.closing);
      if (lags || confirmed != flow.confirmed || closing != flow.closing) {
        flow = {flow.real_index, tables.now_s, confirmed, closing, flow.changes + 1};
      }
      break;
    }
    case FlowEffect::kForget:
      tables.flows.erase(key);
      break;
    case FlowEffect::kRefuse: {
      RefusalCount& refusals = tables.refusals[walk.vip_id];
      ++refusals.count;
      refusals.last_s = tables.now_s;
      break;
    }
  }
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/bgp/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "userspace/dataplane/frame_parser.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt {
namespace {

constexpr uint16_t kAnyPort = 80;  // of a VIP that has every port
// One flow may meet a real without a next hop, while the others go on.
constexpr uint16_t kFlows = 8;
constexpr uint16_t kFirstPort = 40000;
// After some rounds others take the place of these flows, and not the same ones for longer than the flow table
// remembers any: where they are remembered, no drain and no slot waits for them.
constexpr uint64_t kRoundsOfAFlow = 10;
constexpr uint64_t kFlowSets = 3000;
static_assert(kRoundsOfAFlow * (kFlowSets - 1) > kMaxIdleSeconds && kFirstPort + kFlowSets * kFlows < 65536);

// One that no other VIP of its address has.
uint16_t PortFor(const Plan& plan, const VipKey& key) {
  if (key.port != 0) return key.port;
  VipKey other = key;
  for (other.port = kAnyPort; plan.vips.contains(other);) ++other.port;
  return other.port;
}

IpAddress SourceFor(const IpAddress& destination) {
  static const IpAddress kIpv4 = IpAddress::FromIpv4({192, 0, 2, 1});
  static const IpAddress kIpv6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0x01, 0x92, 0, 0, 0, 0x02, 0, 0x01});
  return destination.family() == Family::kIpv4 ? kIpv4 : kIpv6;
}

// The destination of the outer header, if there is one around exactly this packet.
std::optional<IpAddress> OuterDestination(std::span<const uint8_t> frame, std::span<const uint8_t> inner) {
  constexpr size_t kIpv4Header = 20, kIpv6Header = 40;
  const ParsedFrame outer = ParseFrame(frame, 0);
  if (outer.pass != 0) return std::nullopt;
  const size_t header = outer.family == Family::kIpv4 ? kIpv4Header : kIpv6Header;
  if (frame.size() < outer.ip_offset + header) return std::nullopt;
  if (!std::ranges::equal(frame.subspan(outer.ip_offset + header), inner)) return std::nullopt;
  return outer.destination;
}

bool IsReal(const PlannedVip& vip, const IpAddress& address) {
  return std::ranges::any_of(vip.reals, [&](const auto& entry) { return entry.second.address == address; });
}

}  // namespace

void SelfTest::Test(const Snapshot& snapshot, uint32_t interface_index, size_t again) {
  const auto& vips = snapshot.plan.vips;
  std::erase_if(problems_, [&](const auto& entry) {
    const auto vip = vips.find(entry.first);
    return vip == vips.end() || vip->second.entry.ring_slots == 0;
  });
  const size_t known = problems_.size();
  for (const auto& [key, vip] : vips) {
    if (vip.entry.ring_slots == 0 || problems_.contains(key)) continue;
    problems_[key] = TestVip(snapshot.plan, key, interface_index);
  }
  auto next = problems_.upper_bound(last_);
  for (size_t left = std::min(again, known); left > 0; --left) {
    if (next == problems_.end()) {
      next = problems_.begin();
      ++rounds_;
    }
    next->second = TestVip(snapshot.plan, next->first, interface_index);
    last_ = (next++)->first;
  }
}

bool SelfTest::has_tested_all(const Snapshot& snapshot) const {
  return std::ranges::all_of(snapshot.plan.vips, [&](const auto& entry) {
    return entry.second.entry.ring_slots == 0 || problems_.contains(entry.first);
  });
}

std::string SelfTest::TestVip(const Plan& plan, const VipKey& key, uint32_t interface_index) {
  std::string problem;
  const PlannedVip& vip = plan.vips.at(key);
  const Endpoint destination{key.address, PortFor(plan, key)};
  const uint64_t first = kFirstPort + rounds_ / kRoundsOfAFlow % kFlowSets * kFlows;
  for (uint16_t flow = 0; flow < kFlows; ++flow) {
    const Endpoint source{SourceFor(key.address), static_cast<uint16_t>(first + flow)};
    const std::vector<uint8_t> frame = FirstFrame(source, destination, key.protocol);
    ++packets_;
    const auto sent = dataplane_.Forward(frame, interface_index);
    if (!sent) return sent.error().message;
    if (!*sent) {
      problem = "the program did not send the packet on";
      continue;
    }
    const auto to = OuterDestination(**sent, std::span(frame).subspan(kEthernetBytes));
    if (!to) return "the packet left changed, or without an outer header";
    if (!IsReal(vip, *to)) return fmt::format("the packet left for {}, which is no real of it", to->ToString());
    return {};
  }
  return problem;
}

}  // namespace shunt

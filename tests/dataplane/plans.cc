// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/plans.h"

#include <numeric>

namespace shunt::test {

IpAddress Address(std::string_view text) { return IpAddress::Parse(text).value(); }
VipKey Vip(std::string_view text) { return VipKey::Parse(text).value(); }

RealEntry MakeReal(const RealSpec& spec) {
  RealEntry real;
  real.address = Address(spec.address);
  real.serves = spec.serves;
  if (!spec.resolved) return real;
  const bool ipv4 = real.address.family() == Family::kIpv4;
  const std::string_view source = !spec.source.empty() ? spec.source : ipv4 ? "10.0.0.2" : "2001:db8:7::2";
  OuterHeader outer;
  outer.next_hop = {.interface_index = spec.interface_index,
                    .local_mac = {{0x02, 0, 0, 0, 0, 0x01}},
                    .gateway_mac = {{0x02, 0, 0, 0, 0x0b, real.address.bytes()[15]}},
                    .source = Address(source),
                    .mtu_bytes = spec.mtu_bytes};
  outer.ttl = spec.ttl;
  outer.spread_bits = spec.spread_bits;
  real.outer = outer;
  return real;
}

Ring RingOf(const std::vector<uint16_t>& owners) {
  Ring ring;
  for (const uint16_t owner : owners) ring.push_back({.current_real = owner});
  return ring;
}

void GiveRing(Plan& plan, const VipKey& key, Ring ring) {
  PlannedVip& vip = plan.vips.at(key);
  vip.entry.ring_slots = static_cast<uint32_t>(ring.size());
  vip.unsettled = UnsettledOf(ring, {});
  vip.ring = std::make_shared<const Ring>(std::move(ring));
}

Plan MakePlan(const std::vector<VipSpec>& vips) {
  Plan plan;
  uint32_t id = 0;
  uint32_t base = 0;
  for (const VipSpec& spec : vips) {
    ++id;
    std::vector<uint16_t> owners = spec.ring;
    if (owners.empty() && !spec.no_slots) {
      owners.resize(spec.reals.size());
      std::iota(owners.begin(), owners.end(), uint16_t{1});
    }
    PlannedVip& vip = plan.vips[Vip(spec.vip)];
    vip.entry = {.id = id,
                 .tracking = spec.tracking,
                 .quic = spec.quic,
                 .real_base = base,
                 .real_capacity = RealCapacity(spec.reals.size()),
                 .flow_hash_key = {0x0123456789abcdef, 0xfedcba9876543210 + id}};
    GiveRing(plan, Vip(spec.vip), spec.slots.empty() ? RingOf(owners) : spec.slots);
    for (const RealSpec& real : spec.reals) {
      const auto index = static_cast<uint16_t>(vip.reals.size() + 1);
      vip.reals[index] = MakeReal(real);
    }
    base += vip.entry.real_capacity;
  }
  return plan;
}

Status Install(Dataplane& dataplane, const Plan& plan) {
  std::vector<RealWrite> writes;
  for (const auto& [key, vip] : plan.vips)
    for (const auto& [index, real] : vip.reals) writes.push_back({vip.entry.real_base + index, real});
  if (auto set = dataplane.SetReals(writes); !set) return set;
  return dataplane.SetVips(plan);
}

}  // namespace shunt::test

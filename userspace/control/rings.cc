// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/rings.h"

#include <numeric>

#include "maglev/ring.h"

namespace shunt {

std::vector<RingMember> MembersOf(std::span<const RealWeight> weights, std::span<const uint16_t> indices) {
  std::vector<RingMember> members;
  uint32_t divisor = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].weight == 0) continue;
    members.push_back({.index = indices[i], .weight = weights[i].weight});
    divisor = std::gcd(divisor, weights[i].weight);
  }
  for (RingMember& member : members) member.weight /= divisor;
  return members;
}

Result<std::vector<uint16_t>> MakeRing(std::span<const RingMember> members, const std::map<uint16_t, RealEntry>& reals,
                                       uint32_t ring_size) {
  if (members.empty()) return std::vector<uint16_t>();
  std::vector<maglev::Real> weighted;
  for (const RingMember& member : members) {
    weighted.push_back({.id = reals.at(member.index).address.bytes(), .weight = member.weight});
  }
  auto owners = maglev::BuildRing(weighted, ring_size);
  if (!owners) return Fail(ErrorKind::kInvalid, owners.error());
  for (uint16_t& owner : *owners) owner = members[owner].index;
  return *std::move(owners);
}

}  // namespace shunt

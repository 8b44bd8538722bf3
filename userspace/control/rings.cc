// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/rings.h"

#include <iterator>
#include <vector>

#include "maglev/ring.h"

namespace shunt {
namespace {

using Reals = std::map<IpAddress, Real>;

Reals::const_iterator NextMember(const Reals& reals, Reals::const_iterator from) {
  while (from != reals.end() && !TakesNewFlows(from->second)) ++from;
  return from;
}

bool SameMembers(const Reals& before, const Reals& after) {
  auto a = NextMember(before, before.begin());
  auto b = NextMember(after, after.begin());
  while (a != before.end() && b != after.end()) {
    if (a->first != b->first || a->second.weight != b->second.weight) return false;
    a = NextMember(before, std::next(a));
    b = NextMember(after, std::next(b));
  }
  return a == before.end() && b == after.end();
}

}  // namespace

bool TakesNewFlows(const Real& real) { return real.state == RealState::kActive && real.weight > 0; }

bool SameRing(const DesiredState& before, const DesiredState& after, const VipKey& key) {
  const auto old_vip = before.vips.find(key);
  const auto new_vip = after.vips.find(key);
  if (old_vip == before.vips.end() || new_vip == after.vips.end()) return false;
  const VipSettings old_settings = EffectiveSettings(before, old_vip->second);
  const VipSettings new_settings = EffectiveSettings(after, new_vip->second);
  return old_settings.ring_size == new_settings.ring_size && old_settings.tracking == new_settings.tracking &&
         before.hash_key == after.hash_key && SameMembers(old_vip->second.reals, new_vip->second.reals);
}

Result<std::vector<uint16_t>> MakeRing(const Vip& vip, std::span<const uint16_t> indices, uint32_t ring_size) {
  std::vector<maglev::Real> members;
  std::vector<uint16_t> index_of;  // by position in `members`
  size_t position = 0;
  for (const auto& [address, real] : vip.reals) {
    const uint16_t index = indices[position++];
    if (!TakesNewFlows(real)) continue;
    members.push_back({.id = address.bytes(), .weight = real.weight});
    index_of.push_back(index);
  }
  if (members.empty()) return std::vector<uint16_t>();
  auto owners = maglev::BuildRing(members, ring_size);
  if (!owners) return Fail(ErrorKind::kInvalid, owners.error());
  for (uint16_t& owner : *owners) owner = index_of[owner];
  return *std::move(owners);
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/digests.h"

#include <algorithm>
#include <span>
#include <vector>

#include "userspace/base/digest.h"
#include "userspace/dataplane/flow_hash.h"
#include "userspace/model/config_proto.h"

namespace shunt {
namespace {

uint64_t DigestOf(const IpAddress& address) { return Digest(std::as_bytes(std::span(address.bytes()))); }

// One step a slot, for there are many: the reals' own digests stand for them.
uint64_t RingDigest(const PlannedVip& vip) {
  std::vector<uint64_t> by_index(size_t{kMaxRealIndex} + 1);
  for (const auto& [index, real] : vip.reals) by_index[index] = DigestOf(real.address);
  uint64_t digest = kDigestOfNothing;
  for (const RingSlot& slot : *vip.ring) {
    digest = (digest ^ by_index[slot.current_real]) * kDigestPrime;
    digest ^= digest >> 32;
  }
  return digest;
}

uint64_t SettingsDigest(const DesiredState& state, const VipKey& key, const Vip& vip) {
  DesiredState part;
  part.defaults = state.defaults;
  part.outer_source = state.outer_source;
  part.vips.emplace(key, vip);
  return Digest(ToProto(part).SerializeAsString());
}

}  // namespace

uint32_t HashKeyId(const HashKey& key) {
  const VipKey nobody{};
  return static_cast<uint32_t>(FlowHash(DeriveFlowHashKey(key, nobody), Endpoint{}, 0));
}

std::map<VipKey, VipDigest> Digests::Of(const Snapshot& snapshot) {
  std::map<VipKey, VipDigest> digests;
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const auto& entry) { return !snapshot.plan.vips.contains(entry.first); });
  for (const auto& [key, vip] : snapshot.plan.vips) {
    const auto desired = snapshot.desired.vips.find(key);
    if (desired == snapshot.desired.vips.end()) continue;
    Known& known = known_[key];
    if (known.ring != vip.ring) known = {.ring = vip.ring, .digest = RingDigest(vip)};
    const auto moving = std::ranges::count_if(
        vip.unsettled, [&](const UnsettledSlot& unsettled) { return IsMoving((*vip.ring)[unsettled.slot]); });
    digests[key] = {.ring = known.digest,
                    .settings = SettingsDigest(snapshot.desired, key, desired->second),
                    .moving_slots = static_cast<uint32_t>(moving)};
  }
  return digests;
}

}  // namespace shunt

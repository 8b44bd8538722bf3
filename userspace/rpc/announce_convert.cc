// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/announce_convert.h"

#include <chrono>
#include <string>

namespace shunt {

v1::Announcements ToAnnouncements(const AnnounceReport& report, HostPhase host) {
  using std::chrono::milliseconds;
  v1::Announcements out;
  out.set_table(report.table);
  out.set_protocol(report.protocol);
  out.set_problem(report.problem);
  out.set_host(std::string(ToString(host)));
  for (const auto& [prefix, seen] : report.prefixes) {
    v1::PrefixState& row = *out.add_prefixes();
    row.set_prefix(prefix.ToString());
    row.set_state(std::string(ToString(seen.announcing)));
    row.set_metric(seen.metric);
    row.set_cause(seen.cause);
    row.set_since_ms(
        static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(seen.since.time_since_epoch()).count()));
    if (seen.held) row.set_held_seconds(static_cast<uint64_t>(seen.held->count()));
    row.mutable_communities()->Add(seen.communities.begin(), seen.communities.end());
    for (const VipKey& vip : seen.vips) row.add_vips(vip.ToString());
  }
  for (const auto& [key, seen] : report.vips) {
    v1::VipAnnouncing& row = *out.add_vips();
    row.set_vip(key.ToString());
    row.set_state(std::string(ToString(seen.wanted)));
    row.set_cause(seen.cause);
    row.set_healthy_reals(seen.healthy_reals);
    row.set_healthy_percent(seen.healthy_percent);
  }
  return out;
}

v1::Digests ToDigests(const Snapshot& snapshot, const std::map<VipKey, VipDigest>& digests) {
  v1::Digests out;
  out.set_hash_key_id(HashKeyId(snapshot.desired.hash_key));
  out.set_host(std::string(ToString(snapshot.host)));
  out.set_generation(snapshot.store->generation);
  for (const auto& [key, digest] : digests) {
    v1::VipDigest& row = *out.add_vips();
    row.set_vip(key.ToString());
    row.set_ring(digest.ring);
    row.set_settings(digest.settings);
    row.set_moving_slots(digest.moving_slots);
  }
  return out;
}

}  // namespace shunt

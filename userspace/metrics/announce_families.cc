// SPDX-License-Identifier: Apache-2.0
// The part of families.h that tells what is announced, and by what balancers are compared.
#include "userspace/metrics/families.h"
#include "userspace/metrics/family.h"

namespace shunt {
namespace {

constexpr uint64_t kExact = (uint64_t{1} << 48) - 1;  // Prometheus keeps 53 bits

}  // namespace

MetricFamilies AnnounceFamilies(const AnnounceReport& report) {
  auto announced = Gauge("shunt_prefix_announced", "1: announced; 0.5: less preferred; 0: withdrawn, or about to be.");
  auto metric = Gauge("shunt_prefix_metric", "Metric of the prefix's route. Absent without one.");
  auto held = Gauge("shunt_prefix_held_seconds", "How long the prefix is held down still, for it came and went.");
  auto healthy = Gauge("shunt_vip_healthy_reals", "Healthy reals that may take new flows.");
  constexpr double kLess = 0.5;
  for (const auto& [prefix, seen] : report.prefixes) {
    const Labels labels = {{"prefix", prefix.ToString()}};
    const bool whole = seen.announcing == Announcing::kAnnounced;
    Add(announced, labels, whole ? 1.0 : seen.announcing == Announcing::kLowered ? kLess : 0.0);
    if (seen.metric != 0) Add(metric, labels, uint64_t{seen.metric});
    Add(held, labels, seen.held ? static_cast<double>(seen.held->count()) : 0.0);
  }
  for (const auto& [key, seen] : report.vips) Add(healthy, {{"vip", key.ToString()}}, uint64_t{seen.healthy_reals});
  return {std::move(announced), std::move(metric), std::move(held), std::move(healthy)};
}

MetricFamilies DigestFamilies(const std::map<VipKey, VipDigest>& digests, uint32_t hash_key_id) {
  auto key_id = Gauge("shunt_hash_key_id", "Tells hash keys apart: the same on all balancers of a VIP.");
  auto ring = Gauge("shunt_vip_ring_digest", "48 bits of a digest of the VIP's ring: the same on all its balancers.");
  auto settings = Gauge("shunt_vip_settings_digest", "48 bits of a digest of what was said of the VIP: the same.");
  Add(key_id, {}, uint64_t{hash_key_id});
  for (const auto& [key, digest] : digests) {
    Add(ring, {{"vip", key.ToString()}}, digest.ring & kExact);
    Add(settings, {{"vip", key.ToString()}}, digest.settings & kExact);
  }
  return {std::move(key_id), std::move(ring), std::move(settings)};
}

}  // namespace shunt

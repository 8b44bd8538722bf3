// SPDX-License-Identifier: Apache-2.0
// The part of families.h that tells of health.
#include <utility>

#include "userspace/metrics/families.h"
#include "userspace/metrics/family.h"

namespace shunt {
namespace {

using prometheus::MetricFamily;

constexpr double kUsPerSecond = 1e6;

void AddQuantiles(MetricFamily& family, const Labels& labels,
                  std::initializer_list<std::pair<const char*, uint32_t>> values_us) {
  for (const auto& [quantile, us] : values_us) {
    Labels with_quantile = labels;
    with_quantile.push_back({"quantile", quantile});
    Add(family, std::move(with_quantile), us / kUsPerSecond);
  }
}

// Reals whose health is known, and what was measured of them.
void AddReals(const Snapshot& snapshot, const HealthReport& report, MetricFamily& up, MetricFamily& seconds) {
  for (const auto& [key, reals] : snapshot.liveness) {
    for (const auto& [address, health] : reals) {
      Add(up, {{"vip", key.ToString()}, {"real", address.ToString()}}, health == Health::kUp ? 1.0 : 0.0);
    }
  }
  for (const auto& [key, reals] : report.vips) {
    for (const auto& [address, real] : reals) {
      const bool is_gone = HealthOf(snapshot.liveness, key, address) == Health::kUnchecked;
      if (is_gone || real.passed == 0) continue;
      const LatencyFigures& latency = real.latency;
      AddQuantiles(seconds, {{"vip", key.ToString()}, {"real", address.ToString()}},
                   {{"0.5", latency.p50_us}, {"0.9", latency.p90_us}, {"0.99", latency.p99_us}});
    }
  }
}

void AddVips(const Snapshot& snapshot, MetricFamily& healthy, MetricFamily& panic) {
  for (const auto& [key, reals] : snapshot.liveness) {
    const auto weights = snapshot.weights.find(key);
    if (weights == snapshot.weights.end()) continue;
    Add(healthy, {{"vip", key.ToString()}}, weights->second.healthy_percent / 100);
    Add(panic, {{"vip", key.ToString()}}, weights->second.mode == VipMode::kNormal ? 0.0 : 1.0);
  }
}

}  // namespace

MetricFamilies HealthFamilies(const Snapshot& snapshot, const HealthReport& report,
                              const std::map<std::string, uint64_t>& events) {
  MetricFamily up =
      Gauge("shunt_real_up", "1: the real's check passes; 0: it does not, or never has. Absent without a check.");
  MetricFamily healthy = Gauge("shunt_vip_healthy_ratio", "Healthy part of the weight of the VIP's reals.");
  MetricFamily panic = Gauge("shunt_vip_panic", "1: less of the weight is healthy than panic_percent.");
  MetricFamily seconds = Quantiles("shunt_probe_seconds", "How long the last 128 passed probes took.");
  AddReals(snapshot, report, up, seconds);
  AddVips(snapshot, healthy, panic);

  const HealthTotals& totals = report.totals;
  MetricFamily probes = Counter("shunt_probes_total", "Probes that ended.");
  Add(probes, {{"result", "passed"}}, totals.passed);
  Add(probes, {{"result", "failed"}}, totals.failed);
  MetricFamily targets = Gauge("shunt_probe_targets", "Different probes; VIPs that need the same share it.");
  Add(targets, {}, totals.targets);
  MetricFamily sockets = Gauge("shunt_probe_sockets", "Sockets that probes hold open, kept connections among them.");
  Add(sockets, {}, totals.sockets);
  MetricFamily late = Quantiles("shunt_probe_late_seconds", "How late probes of the last ten seconds began.");
  AddQuantiles(late, {}, {{"0.5", totals.late_p50_us}, {"0.99", totals.late_p99_us}, {"1", totals.late_max_us}});
  MetricFamily happened = Counter("shunt_events_total", "Changes of state, by kind; those without any are absent.");
  for (const auto& [kind, count] : events) Add(happened, {{"kind", kind}}, count);

  MetricFamilies families;
  for (MetricFamily* family : {&up, &healthy, &panic, &seconds, &probes, &targets, &sockets, &late, &happened}) {
    families.push_back(std::move(*family));
  }
  return families;
}

}  // namespace shunt

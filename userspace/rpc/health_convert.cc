// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/health_convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "userspace/model/health_fields.h"
#include "userspace/model/health_proto.h"

namespace shunt {
namespace {

using SystemTime = std::chrono::system_clock::time_point;

uint64_t UnixMs(SystemTime time) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return static_cast<uint64_t>(std::max(since, std::chrono::milliseconds(0)).count());
}

// In force, so that what the operator left out is told too.
void FillCheck(const HealthCheck& check, v1::HealthCheck& out) {
  out = ToProto(check);
  out.set_kind(CheckKindToProto(check.kind));
  out.set_via(check.via == ProbeVia::kTunnel ? v1::PROBE_VIA_TUNNEL : v1::PROBE_VIA_DIRECT);
  out.set_interval_ms(check.interval_ms);
  out.set_failing_interval_ms(check.failing_interval_ms == 0 ? check.interval_ms : check.failing_interval_ms);
  out.set_timeout_ms(check.timeout_ms);
  out.set_rise(check.rise);
  out.set_fall(check.fall);
  out.set_jitter_percent(check.jitter_percent);
}

void FillReal(const IpAddress& address, Health in_force, const RealReport* seen, v1::RealHealth& out) {
  out.set_address(address.ToString());
  out.set_health(std::string(Name(in_force)));
  if (seen == nullptr) return;
  // A judgement that has not taken effect yet, or the other way round: since when is not known for a moment.
  if (seen->health == in_force) out.set_since_ms(UnixMs(seen->since));
  out.set_checked_at_ms(UnixMs(seen->checked_at));
  out.set_last_passed(seen->last_passed);
  out.set_last_cause(seen->last_cause);
  out.set_in_row(seen->in_row);
  out.set_rise_needed(seen->rise_needed);
  out.set_flaps(seen->flaps);
  out.set_passed(seen->passed);
  out.set_failed(seen->failed);
  out.set_latency_last_us(seen->latency.last_us);
  out.set_latency_average_us(seen->latency.average_us);
  out.set_latency_p50_us(seen->latency.p50_us);
  out.set_latency_p90_us(seen->latency.p90_us);
  out.set_latency_p99_us(seen->latency.p99_us);
}

void FillTotals(const HealthTotals& totals, v1::ProbeTotals& out) {
  out.set_targets(totals.targets);
  out.set_in_flight(totals.in_flight);
  out.set_sockets(totals.sockets);
  out.set_started(totals.started);
  out.set_passed(totals.passed);
  out.set_failed(totals.failed);
  out.set_late_p50_us(totals.late_p50_us);
  out.set_late_p99_us(totals.late_p99_us);
  out.set_late_max_us(totals.late_max_us);
}

std::string_view WhatPanicMeans(VipMode mode) {
  switch (mode) {
    case VipMode::kNormal:
      break;
    case VipMode::kPanicOpen:
      return "all reals that were ever judged take traffic, down or not";
    case VipMode::kPanicClosed:
      return "only the healthy ones take traffic";
    case VipMode::kWithdrawn:
      return "only the healthy ones take traffic, and the VIP is not to be announced";
  }
  return "";
}

}  // namespace

std::string_view Name(VipMode mode) {
  switch (mode) {
    case VipMode::kNormal:
      return "normal";
    case VipMode::kPanicOpen:
      return "panic_open";
    case VipMode::kPanicClosed:
      return "panic_closed";
    case VipMode::kWithdrawn:
      return "withdrawn";
  }
  return "";
}

std::string_view Name(Health health) {
  switch (health) {
    case Health::kUnchecked:
      return "unchecked";
    case Health::kUnknown:
      return "unknown";
    case Health::kUp:
      return "up";
    case Health::kDown:
      return "down";
  }
  return "";
}

VipWeights WeightsOf(const Snapshot& snapshot, const VipKey& key) {
  const auto found = snapshot.weights.find(key);
  return found == snapshot.weights.end() ? VipWeights{} : found->second;
}

void FillHealth(const Snapshot& snapshot, const VipKey& key, const Vip& desired, v1::VipState& out) {
  const VipWeights weights = WeightsOf(snapshot, key);
  out.set_mode(std::string(Name(weights.mode)));
  out.set_healthy_percent(weights.healthy_percent);
  out.set_backups_used(weights.backups_used);
  out.set_active_group(desired.active_group);
  out.set_check(std::string(ToString(EffectiveSettings(snapshot.desired, desired).health.kind)));
}

void FillHealth(Health health, const Real& desired, const RealWeight* weight, v1::RealStatus& out) {
  out.set_health(std::string(Name(health)));
  if (weight != nullptr && weight->climb_percent < 100) out.set_climb_percent(weight->climb_percent);
  out.set_backup(desired.backup);
  if (desired.canary_tenths) out.set_canary_percent(*desired.canary_tenths / 10.0);
  out.set_group(desired.group);
  if (desired.drain_seconds) out.set_drain_seconds(*desired.drain_seconds);
}

v1::HealthState ToHealth(const Snapshot& snapshot, const HealthReport& report, const std::optional<VipKey>& only) {
  v1::HealthState state;
  for (const auto& [key, desired] : snapshot.desired.vips) {
    if (only && key != *only) continue;
    const HealthCheck check = EffectiveSettings(snapshot.desired, desired).health;
    if (check.kind == CheckKind::kNone) continue;
    const VipWeights weights = WeightsOf(snapshot, key);
    v1::VipHealth& vip = *state.add_vips();
    vip.set_vip(key.ToString());
    FillCheck(check, *vip.mutable_check());
    vip.set_mode(std::string(Name(weights.mode)));
    vip.set_healthy_percent(weights.healthy_percent);
    vip.set_backups_used(weights.backups_used);
    const auto seen = report.vips.find(key);
    for (const auto& [address, real] : desired.reals) {
      const RealReport* of_real = nullptr;
      if (seen != report.vips.end()) {
        if (const auto found = seen->second.find(address); found != seen->second.end()) of_real = &found->second;
      }
      FillReal(address, HealthOf(snapshot.liveness, key, address), of_real, *vip.add_reals());
    }
  }
  FillTotals(report.totals, *state.mutable_totals());
  return state;
}

std::string HealthSentence(const Snapshot& snapshot, const VipKey& key, const std::optional<IpAddress>& chosen) {
  const auto desired = snapshot.desired.vips.find(key);
  if (desired == snapshot.desired.vips.end()) return "";
  size_t down = 0, unknown = 0;
  for (const auto& [address, real] : desired->second.reals) {
    const Health health = HealthOf(snapshot.liveness, key, address);
    if (health == Health::kDown) ++down;
    if (health == Health::kUnknown) ++unknown;
  }
  const VipWeights weights = WeightsOf(snapshot, key);
  std::vector<std::string> parts;
  if (weights.mode != VipMode::kNormal) {
    parts.push_back(fmt::format("PANIC: {:.0f} % of the weight is healthy, less than {} %: {}", weights.healthy_percent,
                                EffectiveSettings(snapshot.desired, desired->second).panic_percent,
                                WhatPanicMeans(weights.mode)));
  }
  const size_t reals = desired->second.reals.size();
  if (down > 0) parts.push_back(fmt::format("{} of {} reals down", down, reals));
  if (unknown > 0) parts.push_back(fmt::format("{} of {} reals not judged yet", unknown, reals));
  if (weights.backups_used) parts.emplace_back("backups are used");
  if (chosen && HealthOf(snapshot.liveness, key, *chosen) == Health::kDown) {
    parts.push_back(fmt::format("{}, which it goes to, is down", chosen->ToString()));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

bool EventFilter::Takes(const Event& event) const {
  return (vip.empty() || event.vip == vip) && (real.empty() || event.real == real);
}

Result<EventFilter> FilterOf(const v1::EventsRequest& request) {
  EventFilter filter;
  std::string problems;
  const auto note = [&](const Error& error) { problems += (problems.empty() ? "" : "\n") + error.message; };
  if (!request.vip().empty()) {
    const auto key = VipKey::Parse(request.vip());
    if (!key) note(key.error());
    if (key) filter.vip = key->ToString();
  }
  if (!request.real().empty()) {
    const auto address = IpAddress::Parse(request.real());
    if (!address) note(address.error());
    if (address) filter.real = address->ToString();
  }
  if (!problems.empty()) return Fail(ErrorKind::kInvalid, problems);
  return filter;
}

v1::Event ToMessage(const Event& event) {
  v1::Event out;
  out.set_id(event.id);
  out.set_at_ms(UnixMs(event.at));
  out.set_kind(event.kind);
  out.set_vip(event.vip);
  out.set_real(event.real);
  out.set_cause(event.cause);
  out.set_interface(event.interface);
  return out;
}

}  // namespace shunt

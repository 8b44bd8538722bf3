// SPDX-License-Identifier: Apache-2.0
// The part of json.h that tells of health and events.
#include "tools/shuntctl/health_format.h"
#include "tools/shuntctl/json.h"

namespace shunt::ctl {
namespace {

Json TimeOrNull(uint64_t unix_ms) { return unix_ms == 0 ? Json(nullptr) : Json(unix_ms); }
Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json CheckJson(const v1::HealthCheck& check) {
  return {{"kind", CheckName(check.kind())},
          {"via", check.via() == v1::PROBE_VIA_DIRECT ? "direct" : "tunnel"},
          {"port", check.has_port() && check.port() != 0 ? Json(check.port()) : Json(nullptr)},
          {"interval_ms", check.interval_ms()},
          {"failing_interval_ms", check.failing_interval_ms()},
          {"timeout_ms", check.timeout_ms()},
          {"rise", check.rise()},
          {"fall", check.fall()},
          {"phrase", CheckPhrase(check)}};
}

Json RealJson(const v1::RealHealth& real) {
  const bool is_checked = real.checked_at_ms() != 0;
  return {{"address", real.address()},
          {"health", real.health()},
          {"since_ms", TimeOrNull(real.since_ms())},
          {"checked_at_ms", TimeOrNull(real.checked_at_ms())},
          {"last_passed", is_checked ? Json(real.last_passed()) : Json(nullptr)},
          {"last_cause", TextOrNull(real.last_cause())},
          {"in_row", real.in_row()},
          {"rise_needed", real.rise_needed()},
          {"flaps", real.flaps()},
          {"passed", real.passed()},
          {"failed", real.failed()},
          {"latency_us",
           {{"last", real.latency_last_us()},
            {"average", real.latency_average_us()},
            {"p50", real.latency_p50_us()},
            {"p90", real.latency_p90_us()},
            {"p99", real.latency_p99_us()}}}};
}

}  // namespace

Json ToJson(const v1::HealthState& state) {
  Json vips = Json::array();
  for (const v1::VipHealth& vip : state.vips()) {
    Json reals = Json::array();
    for (const v1::RealHealth& real : vip.reals()) reals.push_back(RealJson(real));
    vips.push_back({{"vip", vip.vip()},
                    {"check", CheckJson(vip.check())},
                    {"mode", vip.mode()},
                    {"healthy_percent", vip.healthy_percent()},
                    {"backups_used", vip.backups_used()},
                    {"reals", std::move(reals)}});
  }
  const v1::ProbeTotals& totals = state.totals();
  return {
      {"vips", std::move(vips)},
      {"probes",
       {{"targets", totals.targets()},
        {"in_flight", totals.in_flight()},
        {"sockets", totals.sockets()},
        {"started", totals.started()},
        {"passed", totals.passed()},
        {"failed", totals.failed()},
        {"late_us", {{"p50", totals.late_p50_us()}, {"p99", totals.late_p99_us()}, {"max", totals.late_max_us()}}}}}};
}

Json ToJson(const v1::Event& event) {
  return {{"id", event.id()},
          {"at_ms", event.at_ms()},
          {"kind", event.kind()},
          {"vip", TextOrNull(event.vip())},
          {"real", TextOrNull(event.real())},
          {"cause", event.cause()},
          {"interface", TextOrNull(event.interface())}};
}

}  // namespace shunt::ctl

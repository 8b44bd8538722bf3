// SPDX-License-Identifier: Apache-2.0
#include "userspace/metrics/ready.h"

#include <fmt/format.h>

#include <algorithm>

namespace shunt {
namespace {

constexpr int kOk = 200, kNotFound = 404, kUnavailable = 503;

bool IsReady(const VipAnnouncing& vip) { return vip.wanted == Announcing::kAnnounced; }

std::string LineOf(const VipKey& key, const VipAnnouncing& vip) {
  return fmt::format("{} {} {:.1f} % healthy: {}\n", key.ToString(), IsReady(vip) ? "ready" : "not-ready",
                     vip.healthy_percent, vip.cause);
}

ReadyAnswer AnswerHost(const AnnounceReport& report, HostPhase host) {
  const bool any = std::ranges::any_of(report.vips, [](const auto& entry) { return IsReady(entry.second); });
  ReadyAnswer answer{.status = any ? kOk : kUnavailable,
                     .text = fmt::format("host {} {}\n", any ? "ready" : "not-ready", ToString(host))};
  for (const auto& [key, vip] : report.vips) answer.text += LineOf(key, vip);
  return answer;
}

}  // namespace

ReadyAnswer AnswerReady(std::string_view path, const AnnounceReport& report, HostPhase host) {
  if (path.empty() || path == "/") return AnswerHost(report, host);
  if (!path.starts_with('/')) return {.status = kNotFound, .text = "no such page\n"};  // /readyness, say
  const auto key = VipKey::Parse(path.substr(1));
  if (!key) return {.status = kNotFound, .text = key.error().message + "\n"};
  const auto vip = report.vips.find(*key);
  if (vip == report.vips.end()) return {.status = kNotFound, .text = fmt::format("no VIP {}\n", key->ToString())};
  return {.status = IsReady(vip->second) ? kOk : kUnavailable, .text = LineOf(vip->first, vip->second)};
}

}  // namespace shunt

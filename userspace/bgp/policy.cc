// SPDX-License-Identifier: Apache-2.0
#include "userspace/bgp/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace shunt {
namespace {

uint32_t HealthyReals(const VipQuestion& question, bool backups_used) {
  uint32_t healthy = 0;
  for (const auto& [address, real] : question.vip.reals) {
    const bool counts = TakesNewFlows(question.vip, real) && (!real.backup || backups_used);
    if (counts && IsHealthy(HealthOf(question.snapshot.liveness, question.key, address))) ++healthy;
  }
  return healthy;
}

bool HasEnough(const VipAnnouncing& seen, const AnnouncePolicy& policy, bool had_enough) {
  const uint32_t reals = had_enough ? policy.min_reals : policy.return_reals;
  const uint32_t percent = had_enough ? policy.min_percent : policy.return_percent;
  return seen.healthy_reals >= reals && seen.healthy_percent >= percent;
}

std::string RealsOf(const VipAnnouncing& seen) {
  return fmt::format("{} healthy real{}", seen.healthy_reals, seen.healthy_reals == 1 ? "" : "s");
}

std::string TooFew(const VipAnnouncing& seen, const AnnouncePolicy& policy, bool had_enough) {
  if (had_enough)
    return fmt::format("{} ({:.0f} % of the weight); it needs {} ({} %)", RealsOf(seen), seen.healthy_percent,
                       policy.min_reals, policy.min_percent);
  return fmt::format("{} ({:.0f} % of the weight); it comes back with {} ({} %)", RealsOf(seen), seen.healthy_percent,
                     policy.return_reals, policy.return_percent);
}

void Set(VipAnnouncing& announcing, Announcing wanted, std::string cause, bool planned = false) {
  announcing.wanted = wanted;
  announcing.cause = std::move(cause);
  announcing.planned = planned;
}

void SetLeaving(VipAnnouncing& announcing, const AnnouncePolicy& policy, const HostView& host) {
  const bool leaving = host.phase == HostPhase::kLeaving;
  const char* cause = leaving ? "the host leaves" : "the host drains";
  if (!leaving && policy.on_drain == StepDown::kLower) return Set(announcing, Announcing::kLowered, cause, true);
  Set(announcing, host.graceful ? Announcing::kGraceful : Announcing::kWithdrawn, cause, true);
}

// Beside health: what keeps it from being announced at all. Empty: nothing.
std::string Obstacle(const VipQuestion& question, const HostView& host) {
  const auto weights = question.snapshot.weights.find(question.key);
  if (weights != question.snapshot.weights.end() && weights->second.mode == VipMode::kWithdrawn)
    return fmt::format("in panic, with the action withdraw: {:.0f} % of the weight is healthy",
                       weights->second.healthy_percent);
  const auto planned = question.snapshot.plan.vips.find(question.key);
  if (planned == question.snapshot.plan.vips.end() || planned->second.entry.ring_slots == 0)
    return "no real takes new flows";
  if (!host.problem.empty()) return host.problem;
  if (!host.tests) return {};
  const auto tested = host.self_test.find(question.key);
  if (tested == host.self_test.end()) return "the self-test has not been made yet";
  return tested->second.empty() ? "" : "self-test: " + tested->second;
}

}  // namespace

VipVerdict DecideVip(const VipQuestion& question, const HostView& host) {
  const AnnouncePolicy& policy = question.policy;
  VipVerdict verdict;
  VipAnnouncing& announcing = verdict.announcing;
  const auto weights = question.snapshot.weights.find(question.key);
  const bool weighed = weights != question.snapshot.weights.end();
  announcing.healthy_reals = HealthyReals(question, weighed && weights->second.backups_used);
  announcing.healthy_percent = weighed ? weights->second.healthy_percent : 0;
  verdict.has_enough = HasEnough(announcing, policy, question.had_enough);

  if (policy.state == AnnounceState::kDown) {
    Set(announcing, Announcing::kWithdrawn, "an operator took it down (announce.state)", true);
  } else if (std::string obstacle = Obstacle(question, host); !obstacle.empty()) {
    Set(announcing, Announcing::kWithdrawn, std::move(obstacle));
  } else if (!verdict.has_enough) {
    const bool lower = policy.on_unhealthy == StepDown::kLower;
    Set(announcing, lower ? Announcing::kLowered : Announcing::kWithdrawn,
        TooFew(announcing, policy, question.had_enough));
  } else {
    Set(announcing, Announcing::kAnnounced, RealsOf(announcing));
  }
  // The host's leaving makes nothing better than it is.
  if (host.phase == HostPhase::kServing || announcing.wanted == Announcing::kWithdrawn) return verdict;
  const Announcing before = announcing.wanted;
  SetLeaving(announcing, policy, host);
  announcing.wanted = std::min(announcing.wanted, before);
  return verdict;
}

PrefixVerdict DecidePrefix(std::span<const PrefixMember> members) {
  const auto of = [](const PrefixMember& member) { return member.announcing->wanted; };
  const auto rank = [&](const PrefixMember& member) {
    return std::tuple(of(member), member.before, !member.announcing->planned);
  };
  const PrefixMember* chosen = &*std::ranges::max_element(members, {}, rank);
  for (const PrefixMember& member : members) {
    if (member.policy->required && of(member) < of(*chosen)) chosen = &member;
  }
  PrefixVerdict verdict{.wanted = of(*chosen), .planned = chosen->announcing->planned, .preference = kMaxPreference};
  for (const PrefixMember& member : members) {
    if (of(member) >= verdict.wanted) verdict.preference = std::min(verdict.preference, member.policy->preference);
  }
  verdict.cause = chosen->announcing->cause;
  if (members.size() > 1) verdict.cause = fmt::format("{}: {}", chosen->key->ToString(), verdict.cause);
  return verdict;
}

uint32_t MetricOf(Announcing announcing, uint32_t preference) {
  switch (announcing) {
    case Announcing::kWithdrawn:
      return 0;
    case Announcing::kGraceful:
      return kGracefulMetric + preference;
    case Announcing::kLowered:
      return kLoweredMetric + preference;
    case Announcing::kAnnounced:
      return preference;
  }
  return 0;
}

Announcing AnnouncingOf(uint32_t metric) {
  if (metric == 0) return Announcing::kWithdrawn;
  if (metric >= kGracefulMetric) return Announcing::kGraceful;
  return metric >= kLoweredMetric ? Announcing::kLowered : Announcing::kAnnounced;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/bgp/announcements.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace shunt {
namespace {

// The kind of event by which it is told.
std::string KindOf(Announcing announcing) {
  return announcing == Announcing::kGraceful ? "prefix_graceful" : fmt::format("prefix_{}", ToString(announcing));
}

Event EventOf(const Prefix& prefix, Announcing announcing, std::string cause, bool planned) {
  return {.kind = KindOf(announcing), .vip = prefix.ToString(), .cause = std::move(cause), .planned = planned};
}

std::vector<std::string> CommunitiesOf(std::span<const PrefixMember> members) {
  std::set<std::string> communities;
  for (const PrefixMember& member : members) {
    communities.insert(member.policy->communities.begin(), member.policy->communities.end());
  }
  return {communities.begin(), communities.end()};
}

HoldDown::Times TimesOf(std::span<const PrefixMember> members) {
  HoldDown::Times times;
  for (const PrefixMember& member : members) {
    times.hold = std::max(times.hold, std::chrono::seconds(member.policy->hold_seconds));
    times.max = std::max(times.max, std::chrono::seconds(member.policy->max_hold_seconds));
  }
  return times;
}

}  // namespace

Announcements::Announcements(std::span<const TableRoute> adopted) {
  for (const TableRoute& route : adopted) {
    const HoldDown hold(AnnouncingOf(route.metric));
    const auto [known, is_new] = holds_.try_emplace(route.prefix, hold);
    // Of two that one run left, halfway from the one to the other, the kernel prefers the lower metric.
    if (!is_new && hold.announcing() > known->second.announcing()) known->second = hold;
  }
}

std::vector<Event> Announcements::Follow(const Snapshot& snapshot, const HostView& host, SteadyTime now) {
  std::map<VipKey, VipAnnouncing> vips;
  std::map<VipKey, AnnouncePolicy> policies;
  std::map<VipKey, bool> had_enough;
  for (const auto& [key, vip] : snapshot.desired.vips) {
    const AnnouncePolicy& policy =
        policies.emplace(key, PolicyOf(snapshot.desired.defaults.announce, vip.announce, key.address)).first->second;
    const auto known = had_enough_.find(key);
    const bool had = known != had_enough_.end() ? known->second : HadEnough(policy.prefix, host);
    VipVerdict verdict = DecideVip({snapshot, key, vip, policy, had}, host);
    had_enough[key] = verdict.has_enough;
    vips.emplace(key, std::move(verdict.announcing));
  }

  std::map<Prefix, std::vector<PrefixMember>> members;
  for (const auto& [key, policy] : policies) {
    const auto before = vips_.find(key);
    members[policy.prefix].push_back(
        {.key = &key,
         .policy = &policy,
         .announcing = &vips.at(key),
         .before = before == vips_.end() ? Announcing::kWithdrawn : before->second.wanted});
  }
  std::vector<Event> events;
  std::erase_if(holds_, [&](const auto& entry) {
    const auto& [prefix, hold] = entry;
    if (members.contains(prefix)) return false;
    if (hold.announcing() != Announcing::kWithdrawn)
      events.push_back(EventOf(prefix, Announcing::kWithdrawn, "no VIP has it", true));
    prefixes_.erase(prefix);
    return true;
  });
  for (const auto& [prefix, of_prefix] : members) FollowPrefix(prefix, of_prefix, now, events);
  std::ranges::stable_partition(events, [](const Event& event) { return event.kind != "prefix_announced"; });

  vips_ = std::move(vips);
  had_enough_ = std::move(had_enough);
  return events;
}

// The VIPs of a prefix that an earlier run announced had enough, though this one has not seen it; of one that was
// lowered only the host's draining tells.
bool Announcements::HadEnough(const Prefix& prefix, const HostView& host) const {
  const auto hold = holds_.find(prefix);
  if (hold == holds_.end() || prefixes_.contains(prefix)) return false;
  const Announcing adopted = hold->second.announcing();
  return adopted == Announcing::kAnnounced || (adopted == Announcing::kLowered && host.phase != HostPhase::kServing);
}

void Announcements::FollowPrefix(const Prefix& prefix, std::span<const PrefixMember> members, SteadyTime now,
                                 std::vector<Event>& events) {
  const bool is_new = !prefixes_.contains(prefix);
  PrefixAnnouncing& seen = prefixes_[prefix];
  HoldDown& hold = holds_.try_emplace(prefix, HoldDown(Announcing::kWithdrawn)).first->second;
  PrefixVerdict verdict = DecidePrefix(members);
  const Announcing before = hold.announcing();
  // What is gone does not come back only to ask others to take over.
  if (verdict.wanted == Announcing::kGraceful) verdict.wanted = std::min(verdict.wanted, before);
  seen.announcing = hold.Follow(verdict.wanted, verdict.planned, TimesOf(members), now);
  // Of a prefix that is held back, as before; the preference may have changed.
  seen.metric = MetricOf(seen.announcing, verdict.preference);
  seen.cause = verdict.cause;
  seen.held.reset();
  if (const auto until = hold.held_until()) {
    seen.held = std::chrono::ceil<std::chrono::seconds>(*until - now);
    seen.cause = fmt::format("held down, for it came and went: {}", verdict.cause);
  }
  seen.communities = CommunitiesOf(members);
  seen.vips.clear();
  for (const PrefixMember& member : members) seen.vips.push_back(*member.key);
  if (is_new || seen.announcing != before) seen.since = std::chrono::system_clock::now();
  if (seen.announcing != before) events.push_back(EventOf(prefix, seen.announcing, verdict.cause, verdict.planned));
}

std::vector<TableRoute> Announcements::routes() const {
  std::vector<TableRoute> routes;
  for (const auto& [prefix, seen] : prefixes_) {
    if (seen.metric != 0) routes.push_back({.prefix = prefix, .metric = seen.metric});
  }
  return routes;
}

std::optional<SteadyTime> Announcements::due_at() const {
  std::optional<SteadyTime> due;
  for (const auto& [prefix, hold] : holds_) {
    const auto until = hold.held_until();
    if (until && (!due || *until < *due)) due = until;
  }
  return due;
}

}  // namespace shunt

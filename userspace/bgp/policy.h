// SPDX-License-Identifier: Apache-2.0
// Whether a VIP is to be announced, and a prefix, from what is in force and what is seen: the rules and nothing else.
// Pure; called by announcements.cc. Not here: what a VIP may say of it (model/announce.h), how soon it may come back
// (hold_down.h), routes (announcer.h).
#pragma once

#include <map>
#include <span>
#include <string>

#include "userspace/control/announce_report.h"
#include "userspace/control/writer.h"
#include "userspace/model/announce.h"

namespace shunt {

// What holds for all VIPs of this host.
struct HostView {
  HostPhase phase = HostPhase::kServing;
  bool graceful = false;  // draining or leaving: others are still to take over
  std::string problem{};  // why no packet can be balanced: no interface, none reach the program; empty: none
  std::map<VipKey, std::string> self_test{};  // VIPs that the program was asked about: what is wrong; empty: nothing
  bool tests = false;                         // it asks; a VIP that is not in `self_test` waits for that
};

// `had_enough`: healthy reals, when it was asked last; it must have more than that to have them again.
struct VipQuestion {
  const Snapshot& snapshot;
  const VipKey& key;
  const Vip& vip;
  const AnnouncePolicy& policy;
  bool had_enough = false;
};
struct VipVerdict {
  VipAnnouncing announcing;
  bool has_enough = false;
};
VipVerdict DecideVip(const VipQuestion& question, const HostView& host);

// One of those that share a prefix.
struct PrefixMember {
  const VipKey* key = nullptr;
  const AnnouncePolicy* policy = nullptr;
  const VipAnnouncing* announcing = nullptr;
  Announcing before = Announcing::kWithdrawn;  // wanted when it was asked last
};
struct PrefixVerdict {
  Announcing wanted = Announcing::kWithdrawn;
  bool planned = false;
  uint32_t preference = 0;
  std::string cause{};
};
// As much as the best of them wants, but no more than each that is required. At least one member. Among equals the one
// that wanted most before says why, since it carried the prefix to the end; then one that failed.
PrefixVerdict DecidePrefix(std::span<const PrefixMember> members);

// The metric tells the speaker what a route is.
inline constexpr uint32_t kLoweredMetric = 1000;
inline constexpr uint32_t kGracefulMetric = 2000;
uint32_t MetricOf(Announcing announcing, uint32_t preference);  // 0: no route
Announcing AnnouncingOf(uint32_t metric);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// From a snapshot to what is to be probed: the distinct targets, each with the reals of VIPs that want to know. Pure;
// called by the checker whenever the snapshot's generation is another. Not here: when (schedule.h).
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "userspace/control/writer.h"
#include "userspace/health/judgement.h"
#include "userspace/health/probe.h"

namespace shunt {

using CheckedRealKey = std::pair<VipKey, IpAddress>;

// One real of one VIP, as one of those who share a probe.
struct Subscriber {
  CheckedRealKey key;
  JudgementRules rules;
  std::chrono::milliseconds interval{};
  std::chrono::milliseconds failing_interval{};  // never 0
  std::chrono::milliseconds timeout{};           // an answer that takes longer is none for this VIP
  uint32_t jitter_percent = 0;
  bool operator==(const Subscriber&) const = default;

  std::chrono::milliseconds shortest_interval() const { return std::min(interval, failing_interval); }
};

// Those who ask the same share a probe unless one would wait longer for an answer than another between two probes;
// then there are several `part`s.
struct TargetKey {
  ProbeTarget target;
  uint32_t part = 0;
  auto operator<=>(const TargetKey&) const = default;
};

struct WantedTarget {
  std::vector<Subscriber> subscribers;  // never empty; by timeout, the shortest first
  ProbeRoute route;
  std::string problem;  // why no probe can be sent: "no next hop: no route to 10.0.0.11"; empty: it can
  bool operator==(const WantedTarget&) const = default;

  std::chrono::milliseconds interval() const;          // the shortest
  std::chrono::milliseconds failing_interval() const;  // the shortest
  std::chrono::milliseconds timeout() const { return subscribers.back().timeout; }
  uint32_t jitter_percent() const;  // the smallest
};

using TargetTable = std::map<TargetKey, WantedTarget>;

TargetTable MakeTargets(const Snapshot& snapshot);

}  // namespace shunt

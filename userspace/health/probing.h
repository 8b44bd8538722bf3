// SPDX-License-Identifier: Apache-2.0
// The targets as they are being probed: starts what is due, gives each outcome to all who share the target, and keeps
// what they say. Neither threads, clocks nor sockets are here: the checker brings them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "userspace/control/health_report.h"
#include "userspace/control/liveness.h"
#include "userspace/health/checked_real.h"
#include "userspace/health/latency.h"
#include "userspace/health/lateness.h"
#include "userspace/health/probe.h"
#include "userspace/health/schedule.h"
#include "userspace/health/targets.h"

namespace shunt {

class Probing {
 public:
  static constexpr uint32_t kStartsPerTurn = 64;

  struct Environment {
    uint32_t max_in_flight = 0;
    uint32_t seed = 0;
    std::function<Moment()> now;
    std::function<std::unique_ptr<Prober>(const ProbeTarget&, OnOutcome)> make_prober;
    // Why the tunnel to a VIP's address is closed; empty: it is open.
    std::function<std::string(const IpAddress& vip)> tunnel_problem;
    std::function<void()> on_news;  // a turn is due: there are changes to take, or room for another probe
  };
  explicit Probing(Environment environment);
  ~Probing();

  // From now on these are probed. What stays keeps its prober and its judgement; who is new starts as `liveness` has
  // it; who is judged otherwise than it says is told again.
  void Follow(TargetTable wanted, const Liveness& liveness);

  // Starts what is due. False: not all of it, so that answers are not kept waiting; another turn is due at once.
  bool Turn();
  std::optional<SteadyTime> next_due() const;

  std::vector<HealthChange> TakeChanges();  // the newest last
  HealthReport Report() const;
  std::set<IpAddress> tunnelled_vips() const;

 private:
  struct Live;
  struct Checked {
    CheckedReal real;
    const Live* live = nullptr;
  };
  struct Expiry {  // of a subscriber that waits less long than others of the same target
    SteadyTime when;
    uint32_t id = 0;
    uint64_t probe = 0;
    bool operator>(const Expiry& other) const { return when > other.when; }
  };

  uint32_t Add(const TargetKey& key);
  void Remove(uint32_t id);
  void Subscribe(Live& live, std::map<CheckedRealKey, Checked>& before, const Liveness& liveness, const Moment& now);
  void ShareProbeUnderWay(uint32_t id, SteadyTime now);
  void TellAgain(const Liveness& liveness);
  Schedule::Pace PaceOf(const Live& live) const;
  void Start(uint32_t id, const Moment& now);
  void End(uint32_t id, const Outcome& outcome);
  void Tell(Live& live, size_t until, const Outcome& outcome, const Moment& now);
  void AwaitExpiry(uint32_t id);
  void Expire(const Moment& now);
  void NoteChange(const CheckedRealKey& key, const CheckedReal& real);

  const Environment environment_;
  Schedule schedule_;
  Lateness lateness_;
  std::map<CheckedRealKey, Checked> reals_;
  std::vector<std::unique_ptr<Live>> live_;  // by id, which is its number in the schedule too; null: free
  std::vector<uint32_t> free_ids_;
  std::map<TargetKey, uint32_t> ids_;
  std::vector<Expiry> expiries_;  // a heap, the soonest first
  std::vector<HealthChange> changes_;
  HealthTotals totals_;  // targets, in flight, started, passed, failed
};

}  // namespace shunt

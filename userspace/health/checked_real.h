// SPDX-License-Identifier: Apache-2.0
// What is known of one real of one VIP: its judgement, and what its report says. Pure; the checker has one for each
// real of each checked VIP.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "userspace/control/health_report.h"
#include "userspace/control/liveness.h"
#include "userspace/health/judgement.h"
#include "userspace/health/probe.h"

namespace shunt {

// One moment by both clocks.
struct Moment {
  SteadyTime steady;
  std::chrono::system_clock::time_point wall;
  static Moment Now() { return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()}; }
};

class CheckedReal {
 public:
  CheckedReal(Health initial, const JudgementRules& rules, const Moment& now)
      : judgement_(initial), rules_(rules), since_(now) {}

  void set_rules(const JudgementRules& rules) { rules_ = rules; }

  // True: its health changed.
  bool Note(const Outcome& outcome, const Moment& now);

  Health health() const { return judgement_.health(); }
  bool is_failing() const { return judgement_.is_failing(); }
  // Why it has its health: "3 probes failed: connect: Connection refused".
  const std::string& reason() const { return reason_; }

  // Times are by the wall clock as it is now: it may have been set since.
  RealReport Report(const LatencyFigures& latency, const Moment& now) const;

 private:
  Judgement judgement_;
  JudgementRules rules_;
  Moment since_;
  std::optional<Moment> checked_at_;  // unset: not yet
  std::string reason_;
  std::string last_cause_;
  uint64_t passed_ = 0, failed_ = 0;
};

}  // namespace shunt

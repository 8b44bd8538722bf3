// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/checked_real.h"

#include <fmt/format.h>

namespace shunt {
namespace {

std::string Reason(uint32_t in_row, const Outcome& outcome) {
  const char* probes = in_row == 1 ? "probe" : "probes";
  if (outcome.passed) return fmt::format("{} {} passed", in_row, probes);
  return fmt::format("{} {} failed: {}", in_row, probes, outcome.cause);
}

// A wall clock that only drifts leaves what was said as it was.
std::chrono::system_clock::time_point WallTime(const Moment& then, const Moment& now) {
  const auto by_now = now.wall - (now.steady - then.steady);
  return std::chrono::abs(by_now - then.wall) < std::chrono::seconds(1) ? then.wall : by_now;
}

}  // namespace

bool CheckedReal::Note(const Outcome& outcome, const Moment& now) {
  ++(outcome.passed ? passed_ : failed_);
  checked_at_ = now;
  if (!outcome.passed && last_cause_ != outcome.cause) last_cause_ = outcome.cause;
  if (!judgement_.Note(outcome.passed, rules_, now.steady)) return false;
  since_ = now;
  reason_ = Reason(judgement_.in_row(), outcome);
  return true;
}

RealReport CheckedReal::Report(const LatencyFigures& latency, const Moment& now) const {
  return {.health = judgement_.health(),
          .since = WallTime(since_, now),
          .checked_at = checked_at_ ? WallTime(*checked_at_, now) : std::chrono::system_clock::time_point(),
          .last_passed = judgement_.last_passed(),
          .last_cause = last_cause_,
          .in_row = judgement_.in_row(),
          .rise_needed = judgement_.rise_needed(rules_, now.steady),
          .passed = passed_,
          .failed = failed_,
          .flaps = judgement_.flaps(now.steady),
          .latency = latency};
}

}  // namespace shunt

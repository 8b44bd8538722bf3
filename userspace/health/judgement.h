// SPDX-License-Identifier: Apache-2.0
// From outcomes to up or down: rise and fall, and the damping of flaps. Pure; one Judgement for each real of each VIP.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "userspace/control/liveness.h"
#include "userspace/dataplane/plan.h"

namespace shunt {

// Each fall of an up real is a flap; n flaps not yet forgiven multiply the passes needed to rise by 2^(n-1), n counted
// up to kMaxFlaps. One is forgiven for each kForgiveAfter that the real has been up in a row.
inline constexpr uint32_t kMaxFlaps = 6;
inline constexpr std::chrono::seconds kForgiveAfter{60};

struct JudgementRules {
  uint32_t rise = 2, fall = 3;
  bool operator==(const JudgementRules&) const = default;
};

class Judgement {
 public:
  explicit Judgement(Health initial) : health_(initial) {}

  // The health it changed to, if it did. A real that is unknown is up after its first pass and down after `fall`
  // failures.
  std::optional<Health> Note(bool passed, const JudgementRules& rules, SteadyTime now);

  Health health() const { return health_; }
  uint32_t in_row() const { return in_row_; }
  bool last_passed() const { return last_passed_; }
  uint32_t flaps(SteadyTime now) const;
  uint32_t rise_needed(const JudgementRules& rules, SteadyTime now) const;
  // Down, or failures since its last pass: on the way there.
  bool is_failing() const;

 private:
  Health health_;
  bool last_passed_ = false;
  uint32_t in_row_ = 0;
  uint32_t flaps_ = 0;  // at flaps_at_
  SteadyTime flaps_at_{};
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/judgement.h"

#include <algorithm>

namespace shunt {

std::optional<Health> Judgement::Note(bool passed, const JudgementRules& rules, SteadyTime now) {
  in_row_ = passed == last_passed_ && in_row_ > 0 ? in_row_ + 1 : 1;
  last_passed_ = passed;
  const bool up = health_ == Health::kUp;
  if (passed && !up && in_row_ >= rise_needed(rules, now)) {
    flaps_at_ = now;
    return health_ = Health::kUp;
  }
  if (!passed && health_ != Health::kDown && in_row_ >= rules.fall) {
    if (up) flaps_ = std::min(flaps(now) + 1, kMaxFlaps);
    return health_ = Health::kDown;
  }
  return std::nullopt;
}

uint32_t Judgement::flaps(SteadyTime now) const {
  if (health_ != Health::kUp || now < flaps_at_) return flaps_;
  const auto forgiven = (now - flaps_at_) / kForgiveAfter;
  return forgiven < flaps_ ? flaps_ - static_cast<uint32_t>(forgiven) : 0;
}

uint32_t Judgement::rise_needed(const JudgementRules& rules, SteadyTime now) const {
  if (health_ == Health::kUnknown) return 1;
  const uint32_t counted = flaps(now);
  return counted == 0 ? rules.rise : rules.rise << (counted - 1);
}

bool Judgement::is_failing() const { return health_ == Health::kDown || (in_row_ > 0 && !last_passed_); }

}  // namespace shunt

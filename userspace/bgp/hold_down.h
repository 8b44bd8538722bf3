// SPDX-License-Identifier: Apache-2.0
// Keeps a prefix that comes and goes from being announced each time: what attracts less takes effect at once, what
// attracts more only when a while has passed since, and a longer while each time. Pure; one for each prefix, called by
// announcements.cc.
#pragma once

#include <chrono>
#include <optional>

#include "userspace/control/announce_report.h"
#include "userspace/dataplane/plan.h"

namespace shunt {

class HoldDown {
 public:
  struct Times {
    std::chrono::seconds hold{};  // from the first loss to the next announcement; each that follows soon doubles it
    std::chrono::seconds max{};   // up to this; and one that was announced for so long begins anew
  };

  // `announcing`: as it is now, of an earlier run perhaps.
  explicit HoldDown(Announcing announcing) : announcing_(announcing) {}

  // What is in force from now on. A loss that was planned is no flap.
  Announcing Follow(Announcing wanted, bool planned, const Times& times, SteadyTime now);

  Announcing announcing() const { return announcing_; }
  // When something better that is wanted takes effect; unset: nothing is held back.
  std::optional<SteadyTime> held_until() const { return held_until_; }

 private:
  Announcing announcing_;
  std::chrono::seconds hold_{};  // of the last loss
  bool losing_ = false;          // it lost and was not better since: what it loses further is the same loss
  SteadyTime free_at_ = SteadyTime::min();
  std::optional<SteadyTime> announced_at_;  // the last time that it became better; unset: not known
  std::optional<SteadyTime> held_until_;
};

}  // namespace shunt

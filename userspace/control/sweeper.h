// SPDX-License-Identifier: Apache-2.0
// The sweeper: passes over the flow table, stretch by stretch, that drop what is idle or needless, and lets slots
// settle as time goes by. It asks the data plane and drops flows; the slots it wants changed the caller writes. Not
// here: the rules (settling.h). Runs on the writer thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/control/observation.h"
#include "userspace/control/settling.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/model/desired_state.h"

namespace shunt {

struct SweepStep {
  std::vector<SlotChanges> changes;  // to be written and published
  bool ended_pass = false;
};

class Sweeper {
 public:
  static constexpr uint64_t kPlacesPerStep = 65536;
  static constexpr std::chrono::milliseconds kStepInterval{100};        // while a pass goes on
  static constexpr std::chrono::milliseconds kPassInterval{1000};       // from the beginning of one to that of the next
  static constexpr std::chrono::milliseconds kIdlePassInterval{10000};  // while all slots are stable

  explicit Sweeper(Dataplane& dataplane, uint64_t places_per_step = kPlacesPerStep)
      : dataplane_(dataplane), places_per_step_(places_per_step) {}

  // Somebody else changed the plan: what it removed may have been entered by packets under way, so a pass is due.
  void NotePlan(SteadyTime now);

  SteadyTime due_at() const { return due_at_; }  // max: there is nothing to do until the plan changes

  // `plan` is what the data plane holds and was made from `desired`.
  Result<SweepStep> Step(const DesiredState& desired, const Plan& plan, SteadyTime now);

  // Of every VIP, with what the last whole pass saw.
  std::map<VipKey, SlotProgress> Progress(const DesiredState& desired, const Plan& plan, SteadyTime now) const;

 private:
  struct KnownRefusals {
    uint64_t count = 0;
    std::optional<SteadyTime> last;  // not before it really was
  };
  struct Pass {
    SteadyTime begun;
    uint64_t next_place = 0;
    std::unordered_map<uint32_t, uint64_t> entries;    // by VIP id
    std::unordered_map<uint32_t, PassResult> results;  // by VIP id; those with exceptions
  };

  Status ReadRefusals(const Plan& plan, SteadyTime now);
  Status BeginPass(SteadyTime now);
  Status ContinuePass(const DesiredState& desired, const Plan& plan);
  std::vector<SlotChanges> Settle(const DesiredState& desired, const Plan& plan, SteadyTime now,
                                  const Pass* ended) const;
  void Reschedule(const Plan& plan, SteadyTime now);
  std::optional<SteadyTime> LastRefusal(uint32_t vip_id) const;

  Dataplane& dataplane_;
  const uint64_t places_per_step_;
  SteadyTime due_at_ = SteadyTime::max();
  SteadyTime settle_at_;                                  // when it is next asked what time alone has settled
  SteadyTime last_begun_;                                 // the last pass
  SteadyTime next_pass_at_;                               // not before
  bool plan_is_new_ = false;                              // no pass began since NotePlan()
  std::optional<Pass> pass_;                              // under way
  std::unordered_map<uint32_t, uint64_t> entries_;        // by VIP id, at the last whole pass
  std::unordered_map<uint32_t, KnownRefusals> refusals_;  // by VIP id
};

}  // namespace shunt

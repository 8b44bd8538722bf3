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

// What a whole pass over the flow table saw and did not drop.
struct FlowCensus {
  SteadyTime begun = SteadyTime::min();  // of the pass; nothing is known of what changed since
  std::unordered_map<uint64_t, uint64_t> entries;

  static uint64_t KeyOf(uint32_t vip_id, uint16_t real_index) { return uint64_t{vip_id} << 16 | real_index; }
  uint64_t OfReal(uint32_t vip_id, uint16_t real_index) const;
  std::unordered_map<uint32_t, uint64_t> OfVips() const;  // by id; those with any
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

  const FlowCensus& census() const { return census_; }  // of the last whole pass

  // Of every VIP, with what the last whole pass saw.
  std::map<VipKey, SlotProgress> Progress(const DesiredState& desired, const Plan& plan, SteadyTime now) const;

 private:
  struct KnownRefusals {
    uint64_t count = 0;
    std::optional<SteadyTime> last;  // not before it really was
  };
  struct Pass {
    uint64_t next_place = 0;
    FlowCensus census;
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
  FlowCensus census_;                                     // of the last whole pass
  std::unordered_map<uint32_t, uint64_t> entries_;        // the same by VIP id
  std::unordered_map<uint32_t, KnownRefusals> refusals_;  // by VIP id
};

}  // namespace shunt

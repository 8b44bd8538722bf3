// SPDX-License-Identifier: Apache-2.0
// What the writer knows of the reals' health beyond what traffic follows already: the newest judgements, who climbs,
// and when the ring of a VIP may change for it again. Time is the caller's. Not here: what follows from health
// (weights.h), writing it (writer.h). Runs on the writer thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <vector>

#include "userspace/control/liveness.h"
#include "userspace/control/slow_start.h"
#include "userspace/control/weights.h"
#include "userspace/model/desired_state.h"

namespace shunt {

// What traffic follows, or shall follow: of all VIPs, or of those it is about.
struct HealthInForce {
  Liveness liveness;
  Climbs climbs;  // no VIP without a climber
  WeightTable weights;
};

class HealthState {
 public:
  // Keeps a judgement; false: it is no news, or of a real that is gone or not checked. Two wait for those of the VIP's
  // other reals, as long as one probe of each may take: the first one of a VIP that nobody serves yet, else whoever
  // answers first would get every new flow, and slots that change hands a moment later; and one in open panic, else its
  // end would cut the flows of the reals that come up a moment later.
  bool Note(const HealthChange& change, const DesiredState& desired, SteadyTime now);

  // The newest of everything, for the whole of `wanted`: a change by the operator waits for nothing.
  HealthInForce WeighAll(const DesiredState& before, const DesiredState& wanted, SteadyTime now) const;
  // The same of the VIPs that are due, as desired now.
  HealthInForce WeighDue(const DesiredState& desired, SteadyTime now) const;
  SteadyTime due_at() const;  // max: nothing is due

  // It is in force now, and is all there is.
  void Replace(HealthInForce all);
  // It is in force now, beside what was. The rings of `rings_changed` did change.
  void Update(HealthInForce some, const std::vector<VipKey>& rings_changed, const DesiredState& desired,
              SteadyTime now);
  // It could not be written: nothing is due before `until`.
  void Postpone(SteadyTime until) { postponed_until_ = until; }

  const HealthInForce& in_force() const { return in_force_; }

 private:
  std::optional<std::chrono::milliseconds> WaitForOthers(const VipKey& key, const HealthCheck& check) const;
  SteadyTime DueAt(const VipKey& key, SteadyTime at) const;
  void NoteClimbs(const WeightTable& weights);

  HealthInForce in_force_;
  Liveness latest_;                          // VIPs and reals as in in_force_
  std::map<VipKey, SteadyTime> wanted_at_;   // when the VIP has something new
  std::map<VipKey, SteadyTime> not_before_;  // when its ring may change for that
  SteadyTime postponed_until_ = SteadyTime::min();
};

}  // namespace shunt

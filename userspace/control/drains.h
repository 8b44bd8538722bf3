// SPDX-License-Identifier: Apache-2.0
// Draining reals that are to go by themselves: since when they drain, and when they are done, because their flows are
// gone or their time is up. Not here: removing them (writer.h). Runs on the writer thread.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "userspace/control/sweeper.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

struct EndedDrain {
  VipKey vip;
  IpAddress real;
  bool flows_are_gone = false;  // else its time is up
};

class Drains {
 public:
  // What is desired, or the plan made from it, changed.
  void Note(const DesiredState& desired, const Plan& plan, SteadyTime now);

  SteadyTime due_at() const { return due_at_; }  // of the first whose time is up; max: none

  // Those that are done, as of the last whole pass over the flow table. They are not told again before `now` + 1 s.
  std::vector<EndedDrain> Ended(const DesiredState& desired, const Plan& plan, const FlowCensus& census,
                                SteadyTime now);

 private:
  struct Drain {
    SteadyTime begun;                         // when it was first seen
    std::optional<SteadyTime> unnamed_since;  // no slot leads there: all its flows are in the flow table, if anywhere
    SteadyTime not_before = SteadyTime::min();
  };
  std::map<std::pair<VipKey, IpAddress>, Drain> drains_;
  SteadyTime due_at_ = SteadyTime::max();
};

}  // namespace shunt

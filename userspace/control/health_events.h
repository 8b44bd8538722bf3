// SPDX-License-Identifier: Apache-2.0
// What is told of a VIP when other weights come in force: panic, backups, groups, climbs that ended, reals that wait
// for their first pass. Pure; called by the writer. Not here: that a real is up or down, which is told as it is judged.
#pragma once

#include <vector>

#include "userspace/control/event_log.h"
#include "userspace/control/health_state.h"
#include "userspace/model/desired_state.h"

namespace shunt {

struct HealthMoment {
  const DesiredState& desired;
  const HealthInForce& in_force;
};

// Of one VIP that stands in `after`.
std::vector<Event> EventsOf(const VipKey& key, const HealthMoment& before, const HealthMoment& after);

}  // namespace shunt

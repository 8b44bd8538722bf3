// SPDX-License-Identifier: Apache-2.0
// What is written in front of a packet for one real, from its next hop and the settings. Pure; called by the planner.
// Not here: the header's bytes (dataplane/encode.h).
#pragma once

#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"

namespace shunt {

// Without a next hop in the table the entry has no outer header.
RealEntry MakeRealEntry(const IpAddress& real, const NextHopTable& next_hops, const OuterSource& outer_source,
                        uint8_t outer_ttl);

}  // namespace shunt

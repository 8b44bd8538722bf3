// SPDX-License-Identifier: Apache-2.0
// What is said about next hops: in the answer to a change, and in the log. Called by the writer. Not here: finding them
// (net/next_hop_source.h).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "userspace/model/desired_state.h"
#include "userspace/net/next_hop_source.h"

namespace shunt {

std::set<IpAddress> RealsOf(const DesiredState& state);

// Lines for people, the first few and how many more.
std::vector<std::string> UnresolvedReals(const DesiredState& state, const NextHopTable& next_hops);
void LogNextHops(const NextHopTable& before, const NextHopTable& after);

}  // namespace shunt

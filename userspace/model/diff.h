// SPDX-License-Identifier: Apache-2.0
// The differences of two desired states, for people and for `apply`: one line each. Pure.
#pragma once

#include <string>
#include <vector>

#include "userspace/model/desired_state.h"

namespace shunt {

// One line per difference, in the order of the store: "+ vip 203.0.113.10:443/tcp",
// "~ real 203.0.113.10:443/tcp 10.0.0.11: weight 10 -> 20", "- real …", "~ defaults: ring_size 65537 -> 4099",
// "~ hash_key". A new or removed VIP's reals are lines of their own. Empty = the same.
std::vector<std::string> Diff(const DesiredState& from, const DesiredState& to);

}  // namespace shunt

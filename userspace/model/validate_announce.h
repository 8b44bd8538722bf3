// SPDX-License-Identifier: Apache-2.0
// What a VIP's announcement may not be. Pure; called by validate.cc. Not here: what is no prefix in form
// (announce_proto.h).
#pragma once

#include <string>
#include <vector>

#include "userspace/model/announce.h"
#include "userspace/model/validate.h"

namespace shunt {

// Adds every problem of the settings by themselves; `path` names them, e.g. defaults.announce.
void ValidateAnnounce(const AnnounceSettings& settings, const std::string& path, std::vector<Problem>& problems);

// The prefix does not hold the VIP's address: a sentence; empty when it does, or there is none.
std::string PrefixProblem(const AnnounceSettings& settings, const IpAddress& address);

}  // namespace shunt

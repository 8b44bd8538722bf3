// SPDX-License-Identifier: Apache-2.0
// What a health check may not be. Pure; called by validate.cc. Not here: what is no check at all in form
// (health_proto.h).
#pragma once

#include <string>
#include <vector>

#include "userspace/model/health_check.h"
#include "userspace/model/validate.h"
#include "userspace/net/endpoint.h"

namespace shunt {

// Adds every problem of a check by itself; `path` names it, e.g. defaults.health.
void ValidateCheck(const HealthCheck& check, const std::string& path, std::vector<Problem>& problems);

// Whether the check asks a port, and neither it nor the VIP has one.
bool LacksPort(const HealthCheck& check, const VipKey& key);

}  // namespace shunt

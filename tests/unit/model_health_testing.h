// SPDX-License-Identifier: Apache-2.0
// Valid health checks for tests: one of each kind with every field that it has, and random ones.
#pragma once

#include <random>
#include <vector>

#include "userspace/model/health_check.h"

namespace shunt {

std::vector<HealthCheck> FullChecks();  // none, and each kind with all its fields set to something

// Any of the values that Validate() takes; the texts lean to what is hard to write down.
HealthCheck RandomCheck(std::mt19937& random);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What the data plane's maps hold unless the operator says otherwise (bpf/include/shunt/abi_limits.h).
#pragma once

#include "userspace/model/validate.h"

namespace shunt {

Capacities DefaultCapacities();

}  // namespace shunt

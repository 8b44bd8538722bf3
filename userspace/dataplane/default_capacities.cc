// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/default_capacities.h"

#include <shunt/abi_limits.h>

namespace shunt {

Capacities DefaultCapacities() {
  return {
      .max_vips = SHUNT_MAX_VIPS_DEFAULT, .max_reals = SHUNT_MAX_REALS_DEFAULT, .max_flows = SHUNT_MAX_FLOWS_DEFAULT};
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/desired_state.h"

namespace shunt {

VipSettings EffectiveSettings(const DesiredState& state, const Vip& vip) {
  return {.tracking = vip.tracking.value_or(state.defaults.tracking),
          .ring_size = vip.ring_size.value_or(state.defaults.ring_size),
          .outer_ttl = vip.outer_ttl.value_or(state.defaults.outer_ttl)};
}

}  // namespace shunt

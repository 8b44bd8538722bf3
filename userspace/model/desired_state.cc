// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/desired_state.h"

namespace shunt {

VipSettings EffectiveSettings(const DesiredState& state, const Vip& vip) {
  return {.tracking = vip.tracking.value_or(state.defaults.tracking),
          .ring_size = vip.ring_size.value_or(state.defaults.ring_size),
          .outer_ttl = vip.outer_ttl.value_or(state.defaults.outer_ttl),
          .udp_idle_seconds = vip.udp_idle_seconds.value_or(state.defaults.udp_idle_seconds),
          .tcp_settle_seconds = vip.tcp_settle_seconds.value_or(state.defaults.tcp_settle_seconds)};
}

}  // namespace shunt

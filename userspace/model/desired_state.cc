// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/desired_state.h"

namespace shunt {

void FillFromForce(const DesiredState& in_force, DesiredState& wanted) {
  if (wanted.hash_key == HashKey{}) wanted.hash_key = in_force.hash_key;
  if (!wanted.host) wanted.host = in_force.host;
  if (wanted.host == HostState::kServe) wanted.host.reset();
}

VipSettings EffectiveSettings(const DesiredState& state, const Vip& vip) {
  return {.tracking = vip.tracking.value_or(state.defaults.tracking),
          .ring_size = vip.ring_size.value_or(state.defaults.ring_size),
          .outer_ttl = vip.outer_ttl.value_or(state.defaults.outer_ttl),
          .udp_idle_seconds = vip.udp_idle_seconds.value_or(state.defaults.udp_idle_seconds),
          .tcp_settle_seconds = vip.tcp_settle_seconds.value_or(state.defaults.tcp_settle_seconds),
          .health = vip.health.value_or(state.defaults.health),
          .panic_percent = vip.panic_percent.value_or(state.defaults.panic_percent),
          .panic_action = vip.panic_action.value_or(state.defaults.panic_action),
          .slow_start_seconds = vip.slow_start_seconds.value_or(state.defaults.slow_start_seconds),
          .slow_start_exponent = vip.slow_start_exponent.value_or(state.defaults.slow_start_exponent),
          .backup_below_percent = vip.backup_below_percent.value_or(state.defaults.backup_below_percent),
          .ring_changes_per_second = vip.ring_changes_per_second.value_or(state.defaults.ring_changes_per_second),
          .announce = state.defaults.announce};
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What this host does as a whole, for who announces its VIPs: published with the snapshot, told as an event whenever it
// changes. Not here: what an operator asks for (model/desired_state.h), which is only a part of it.
#pragma once

#include <cstdint>
#include <string_view>

namespace shunt {

enum class HostPhase : uint8_t {
  kServing,
  kDraining,  // an operator said so, and it outlives a restart: its VIPs are not to be announced
  kLeaving,   // shuntd is about to stop: the same
};

constexpr std::string_view ToString(HostPhase phase) {
  return phase == HostPhase::kServing ? "serving" : phase == HostPhase::kDraining ? "draining" : "leaving";
}

}  // namespace shunt

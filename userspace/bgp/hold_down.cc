// SPDX-License-Identifier: Apache-2.0
#include "userspace/bgp/hold_down.h"

#include <algorithm>

namespace shunt {

Announcing HoldDown::Follow(Announcing wanted, bool planned, const Times& times, SteadyTime now) {
  held_until_.reset();
  if (wanted < announcing_) {
    if (!planned) {
      const bool calm = hold_ == std::chrono::seconds(0) || !announced_at_ || now - *announced_at_ >= times.max;
      if (!losing_) hold_ = calm ? times.hold : std::min(2 * hold_, times.max);
      free_at_ = now + hold_;
      losing_ = true;
    }
    announcing_ = wanted;
  } else if (wanted > announcing_) {
    if (now < free_at_) {
      held_until_ = free_at_;
      return announcing_;
    }
    announcing_ = wanted;
    announced_at_ = now;
    losing_ = false;
  }
  return announcing_;
}

}  // namespace shunt

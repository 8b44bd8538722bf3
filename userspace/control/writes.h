// SPDX-License-Identifier: Apache-2.0
// From one plan to the next in an order that breaks nothing: make before break. Counters and reals that come or serve
// again, then all VIPs with their rings at one instant, then reals that stop serving or go, and their flows. Comparing
// is pure; Execute() and Revert() alone touch a data plane, on the writer thread.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "userspace/dataplane/dataplane.h"

namespace shunt {

namespace write {
struct ResetTraffic {
  std::vector<uint32_t> vip_ids, entries;
};
struct SetReals {
  std::vector<RealWrite> reals;
};
struct SetVips {
  std::shared_ptr<const Plan> between;  // null: the plan that all writes lead to
};
struct ClearReals {
  std::vector<uint32_t> entries;
};
struct CarryTraffic {
  uint32_t from, to;
};
struct ForgetFlows {  // all that the plan does not have
  std::shared_ptr<const Plan> between;
};
}  // namespace write

using Write = std::variant<write::ResetTraffic, write::SetReals, write::SetVips, write::ClearReals, write::CarryTraffic,
                           write::ForgetFlows>;

// Empty: the plans hold the same. At every point in between, a VIP that stands in both serves from a ring and reals
// that are whole. (Only plans of which neither was made from the other can both claim one id or range; a VIP of `from`
// that is in the way is then taken down first.)
std::vector<Write> OrderWrites(const Plan& from, const Plan& to);

// Stops at the first error. `to` is the plan the writes lead to.
Status Execute(const std::vector<Write>& writes, const Plan& to, Dataplane& dataplane);

// Takes the data plane back to `from`, wherever on the way to `attempted` it stands; goes on after an error, and
// returns them all as one. Counters are left as they are. Remembered flows of what was removed are lost.
Status Revert(const Plan& attempted, const Plan& from, Dataplane& dataplane);

}  // namespace shunt

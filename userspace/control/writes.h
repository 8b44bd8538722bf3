// SPDX-License-Identifier: Apache-2.0
// From one plan to the next in an order that breaks nothing: make before break. Add: counters, real, ring, VIP;
// remove: VIP, ring, real, flows. Comparing is pure; Execute() and Revert() alone touch a data plane, on the writer
// thread.
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
struct SetRings {
  std::vector<RingWrite> rings;
};
struct SetVip {
  VipKey key;
  VipEntry entry;
};
struct SetAddress {
  IpAddress address;
  AddressEntry entry;
};
struct RemoveVip {
  VipKey key;
};
struct RemoveAddress {
  IpAddress address;
};
struct RemoveRing {
  uint32_t ring_index;
};
struct ClearReals {
  std::vector<uint32_t> entries;
};
struct CarryTraffic {
  uint32_t from, to;
};
struct ForgetFlows {};  // all that the new plan does not have
}  // namespace write

using Write = std::variant<write::ResetTraffic, write::SetReals, write::SetRings, write::SetVip, write::SetAddress,
                           write::RemoveVip, write::RemoveAddress, write::RemoveRing, write::ClearReals,
                           write::CarryTraffic, write::ForgetFlows>;

// Empty: the plans hold the same. At every point in between, a VIP that stands in both serves from a ring and reals
// that are whole. (Only plans of which neither was made from the other can both claim one id, range or ring; a VIP
// of `from` that is in the way is then taken down first.)
std::vector<Write> OrderWrites(const Plan& from, const Plan& to);

// Stops at the first error. `to` is the plan the writes lead to.
Status Execute(const std::vector<Write>& writes, const Plan& to, Dataplane& dataplane);

// Takes the data plane back to `from`, wherever on the way to `attempted` it stands; goes on after an error, and
// returns them all as one. Counters are left as they are. Remembered flows of what was removed are lost.
Status Revert(const Plan& attempted, const Plan& from, Dataplane& dataplane);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What packets a plan's VIPs and reals have counted, by their names instead of the data plane's ids. Called by rpc and
// metrics, on their threads. Not here: flows estimated and rates (observation.h).
#pragma once

#include <cstdint>
#include <map>

#include "userspace/base/result.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/plan.h"

namespace shunt {

struct VipCounters {
  Traffic vip;
  std::map<uint16_t, Traffic> reals;  // by index
};
using Counters = std::map<VipKey, VipCounters>;

// Those of every VIP and real of `plan`.
Result<Counters> ReadCounters(Dataplane& dataplane, const Plan& plan);

// Whether Traffic::new_flows means something: in plain UDP nothing marks the packet that opens a flow, so only a flow
// that is remembered is known to be new.
bool TellsNewFlows(const VipKey& key, const VipEntry& vip);

}  // namespace shunt

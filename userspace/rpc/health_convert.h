// SPDX-License-Identifier: Apache-2.0
// Health and events as API messages: names of modes, what is in force, what the checks saw lately. Pure.
// Called by convert.cc, service.cc and explain.cc on gRPC's threads; shuntctl and tests use the names.
// Not here: the check as it is configured (model/config_proto.h), who is healthy (control/weights.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/result.h"
#include "userspace/control/event_log.h"
#include "userspace/control/health_report.h"
#include "userspace/control/writer.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {

std::string_view Name(VipMode mode);   // normal, panic_open, panic_closed, withdrawn
std::string_view Name(Health health);  // unchecked, unknown, up, down

// What a VIP without a check, or one that is not weighed yet, is taken to have.
VipWeights WeightsOf(const Snapshot& snapshot, const VipKey& key);

// The fields of health that the state of a VIP has, and those of its real; `weight` is null where none is known.
void FillHealth(const Snapshot& snapshot, const VipKey& key, const Vip& desired, v1::VipState& out);
void FillHealth(Health health, const Real& desired, const RealWeight* weight, v1::RealStatus& out);

// VIPs with a check, all or only one; `report` may know less than the snapshot, or more.
v1::HealthState ToHealth(const Snapshot& snapshot, const HealthReport& report, const std::optional<VipKey>& only);

// What one sentence says of a VIP whose health is not what it should be, and of the real that a packet goes to; empty
// if there is nothing to say.
std::string HealthSentence(const Snapshot& snapshot, const VipKey& key, const std::optional<IpAddress>& chosen);

// Which events a reader wants.
struct EventFilter {
  std::string vip, real;  // as events have them; empty: all
  bool Takes(const Event& event) const;
};
// Bad names are kInvalid, a line each.
Result<EventFilter> FilterOf(const v1::EventsRequest& request);

v1::Event ToMessage(const Event& event);

}  // namespace shunt

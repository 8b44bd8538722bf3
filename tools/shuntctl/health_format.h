// SPDX-License-Identifier: Apache-2.0
// Health and events as text for people. Pure. Not here: the same for programs (json.h), who is healthy (the daemon).
#pragma once

#include <chrono>
#include <string>

#include "tools/shuntctl/table.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt::ctl {

using UnixTime = std::chrono::milliseconds;  // since 1970

// VIPs with their reals, each VIP a block. `now` tells how long ago things were.
std::string FormatHealth(const v1::HealthState& state, UnixTime now, bool colour);

std::string CheckName(v1::CheckKind kind);  // none, tcp, http, …
// "http GET /healthz every 2 s".
std::string CheckPhrase(const v1::HealthCheck& check);

std::string FormatEvent(const v1::Event& event, bool colour);  // one line

// What the tables of VIPs and reals (format.h) say of health. Of a VIP without a check there is nothing to say.
bool IsChecked(const v1::VipState& vip);
bool IsInPanic(const v1::VipState& vip);
bool IsAllWell(const v1::VipState& vip);           // every real that does not drain is up, and no backup is used
std::string HealthWords(const v1::VipState& vip);  // "3 of 4 healthy (75 % of the weight)", "PANIC: …"
Table::Cell HealthCell(const v1::VipState& vip);   // "3 of 4"
Table::Cell HealthCell(const v1::RealStatus& real);
Table::Cell StateCell(const v1::RealStatus& real);  // "active, backup, climbs: 40 %"

}  // namespace shunt::ctl

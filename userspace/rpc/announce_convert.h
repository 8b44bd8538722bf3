// SPDX-License-Identifier: Apache-2.0
// What is announced, and digests, as API messages. Pure; called by service.cc.
#pragma once

#include "userspace/control/announce_report.h"
#include "userspace/control/digests.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {

v1::Announcements ToAnnouncements(const AnnounceReport& report, HostPhase host);
v1::Digests ToDigests(const Snapshot& snapshot, const std::map<VipKey, VipDigest>& digests);

}  // namespace shunt

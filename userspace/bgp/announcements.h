// SPDX-License-Identifier: Apache-2.0
// What is announced of all prefixes, as time goes by: asks the rules (policy.h), remembers who had enough reals, and
// holds back what comes and goes (hold_down.h). Pure, with the caller's clock; called by announcer.cc. Not here:
// routes, threads, where the view of the host comes from.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/bgp/hold_down.h"
#include "userspace/bgp/policy.h"
#include "userspace/control/event_log.h"
#include "userspace/net/route_table.h"

namespace shunt {

class Announcements {
 public:
  // `adopted`: routes of an earlier run, which are announced until Follow() says otherwise.
  explicit Announcements(std::span<const TableRoute> adopted);

  // Decides everything anew. The events tell what changed, the losses first.
  std::vector<Event> Follow(const Snapshot& snapshot, const HostView& host, SteadyTime now);

  // What Follow() decided: the routes that are to be, in order.
  std::vector<TableRoute> routes() const;
  const std::map<Prefix, PrefixAnnouncing>& prefixes() const { return prefixes_; }
  const std::map<VipKey, VipAnnouncing>& vips() const { return vips_; }
  // When a prefix that is held back may come; unset: none is.
  std::optional<SteadyTime> due_at() const;

 private:
  bool HadEnough(const Prefix& prefix, const HostView& host) const;
  void FollowPrefix(const Prefix& prefix, std::span<const PrefixMember> members, SteadyTime now,
                    std::vector<Event>& events);

  std::map<Prefix, HoldDown> holds_;  // also of adopted routes whose VIPs are gone, until the first Follow()
  std::map<VipKey, bool> had_enough_;
  std::map<Prefix, PrefixAnnouncing> prefixes_;
  std::map<VipKey, VipAnnouncing> vips_;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// By which interfaces probes to the VIPs leave this host, so that the tunnel is opened there, and why some cannot take
// it. Called by the checker, on its thread. Not here: the reals' next hops (net/next_hop_resolver.h).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/net/routes.h"

namespace shunt {

class TunnelRoutes {
 public:
  static constexpr std::chrono::seconds kLookAgain{5};

  using LookUp = std::function<Result<std::vector<Route>>(std::span<const IpAddress>)>;
  using Open = std::function<Status(std::span<const uint32_t> interface_indices)>;

  TunnelRoutes(LookUp look_up, Open open) : look_up_(std::move(look_up)), open_(std::move(open)) {}

  // Looks up the ways to these, and opens the tunnel where they lead, if that is asked for or long ago.
  void Follow(const std::set<IpAddress>& vips, bool at_once, SteadyTime now);

  // Why probes to this VIP cannot take the tunnel; empty: they can. As of the last look.
  const std::string& ProblemOf(const IpAddress& vip) const;

 private:
  void LookAt(const std::set<IpAddress>& vips);

  LookUp look_up_;
  Open open_;
  SteadyTime look_at_;
  std::map<IpAddress, std::string> problems_;
  std::string last_error_;  // logged once
};

}  // namespace shunt

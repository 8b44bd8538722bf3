// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/tunnel_routes.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include "userspace/control/log_once.h"

namespace shunt {
namespace {

std::string TunnelProblem(const IpAddress& vip, const Route& route) {
  if (route.error == 0 && (route.type == RTN_LOCAL || route.type == RTN_ANYCAST)) {
    return fmt::format(
        "{} is an address of this host: its probes cannot take the tunnel; use via: direct or remove the address",
        vip.ToString());
  }
  const std::string problem = RouteProblem(vip, route);
  if (problem.empty()) return {};
  return fmt::format("{}: probes cannot take the tunnel; use via: direct or add a route", problem);
}

}  // namespace

void TunnelRoutes::Follow(const std::set<IpAddress>& vips, bool at_once, SteadyTime now) {
  if (!at_once && now < look_at_) return;
  look_at_ = now + kLookAgain;
  if (vips.empty()) return problems_.clear();
  LookAt(vips);
}

void TunnelRoutes::LookAt(const std::set<IpAddress>& vips) {
  const std::vector<IpAddress> destinations(vips.begin(), vips.end());
  std::set<uint32_t> interfaces;
  std::map<IpAddress, std::string> problems;
  Status done;
  if (const auto routes = look_up_(destinations); !routes) {
    done = std::unexpected(routes.error());
  } else {
    for (size_t i = 0; i < destinations.size(); ++i) {
      std::string problem = TunnelProblem(destinations[i], (*routes)[i]);
      if (problem.empty()) {
        interfaces.insert((*routes)[i].interface_index);
      } else {
        problems.emplace(destinations[i], std::move(problem));
      }
    }
    // Also where it was open before: somebody may have taken it away.
    if (!interfaces.empty()) done = open_(std::vector(interfaces.begin(), interfaces.end()));
  }
  const std::string error = done ? "" : fmt::format("opening the tunnel for probes: {}", done.error().message);
  LogOnce("", error, last_error_);
  if (!error.empty()) {
    for (const IpAddress& vip : vips) problems.try_emplace(vip, error);
  }
  problems_ = std::move(problems);
}

const std::string& TunnelRoutes::ProblemOf(const IpAddress& vip) const {
  static const std::string kNone;
  const auto found = problems_.find(vip);
  return found == problems_.end() ? kNone : found->second;
}

}  // namespace shunt

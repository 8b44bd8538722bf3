// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/next_hop_notes.h"

#include <fmt/format.h>
#include <glog/logging.h>

namespace shunt {
namespace {

constexpr size_t kShownLines = 10;

}  // namespace

std::set<IpAddress> RealsOf(const DesiredState& state) {
  std::set<IpAddress> reals;
  for (const auto& [key, vip] : state.vips) {
    for (const auto& [address, real] : vip.reals) reals.insert(address);
  }
  return reals;
}

std::vector<std::string> UnresolvedReals(const DesiredState& state, const NextHopTable& next_hops) {
  std::vector<std::string> lines;
  size_t unresolved = 0;
  for (const IpAddress& real : RealsOf(state)) {
    const auto found = next_hops.find(real);
    if (found == next_hops.end() || found->second.next_hop || ++unresolved > kShownLines) continue;
    lines.push_back(fmt::format("real {} gets no packets yet: {}", real.ToString(), found->second.problem));
  }
  if (unresolved > kShownLines) lines.push_back(fmt::format("and {} more", unresolved - kShownLines));
  return lines;
}

void LogNextHops(const NextHopTable& before, const NextHopTable& after) {
  size_t changed = 0;
  for (const auto& [real, state] : after) {
    const auto old = before.find(real);
    if ((old != before.end() && old->second == state) || ++changed > kShownLines) continue;
    if (state.next_hop) {
      LOG(INFO) << "next hop of real " << real.ToString() << ": " << state.next_hop->gateway_mac.ToString()
                << " by interface " << state.next_hop->interface_index;
    } else {
      LOG(WARNING) << "next hop of real " << real.ToString() << ": " << state.problem;
    }
  }
  if (changed > kShownLines) LOG(INFO) << "next hops of " << changed - kShownLines << " more reals changed";
}

}  // namespace shunt

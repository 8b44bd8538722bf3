// SPDX-License-Identifier: Apache-2.0
// Finds the next hop of every real from the kernel's routes, links and neighbours (rtnetlink, by libmnl) and
// notices when they change. One thread (the writer's) uses it. Needs CAP_NET_ADMIN to start neighbour discovery.
#pragma once

#include <memory>
#include <set>

#include "userspace/base/result.h"
#include "userspace/net/next_hop_source.h"

namespace shunt {

class NextHopResolver final : public NextHopSource {
 public:
  // Opens its netlink sockets in the caller's network namespace.
  static Result<std::unique_ptr<NextHopResolver>> Create();
  ~NextHopResolver() override;

  // Readable (poll) when routes, links or neighbours changed since the last Resolve().
  int fd() const override;

  // Drains fd() and tells whether Resolve() may answer differently than last time. Much cheaper than Resolve() where
  // neighbours come and go that no real needs.
  Result<bool> Changed() override;

  // Drains fd() and returns the state of exactly these reals. Keeps the neighbours it needs alive
  // (NTF_EXT_MANAGED, kernel 5.16), so that a silent next hop is noticed; an unresolved one becomes an event on
  // fd() once the kernel has its MAC. A lost event (ENOBUFS) makes it look everything up again.
  Result<NextHopTable> Resolve(const std::set<IpAddress>& reals) override;

 private:
  struct Impl;
  explicit NextHopResolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

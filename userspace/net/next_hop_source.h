// SPDX-License-Identifier: Apache-2.0
// Where next hops come from, as the writer thread (control/controller.h) sees it: the kernel's routing
// (next_hop_resolver.h), or one fixed next hop for all (static_next_hops.h).
#pragma once

#include <set>

#include "userspace/base/result.h"
#include "userspace/net/next_hop.h"

namespace shunt {

class NextHopSource {
 public:
  virtual ~NextHopSource() = default;

  // Readable (poll) when the answer may have changed since the last Resolve(); negative: it never does.
  virtual int fd() const = 0;

  // Drains fd() and tells whether Resolve() may answer differently than last time.
  virtual Result<bool> Changed() = 0;

  // Drains fd() and returns the state of exactly these reals, which are the ones followed from now on.
  virtual Result<NextHopTable> Resolve(const std::set<IpAddress>& reals) = 0;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The announcer: a thread that follows the snapshot, the interfaces and the self-test, decides what is announced, keeps
// a route for each such prefix in a routing table of its own, for a BGP speaker, and tells what changes. Not here: the
// rules (policy.h), the memory (announcements.h), netlink (net/route_table.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "userspace/base/result.h"
#include "userspace/control/controller.h"
#include "userspace/dataplane/dataplane.h"

namespace shunt {

struct AnnounceOptions {
  uint32_t table = 0;  // routing table of the kernel; 0: no routes are kept and no packets sent to test, all else is
                       // decided nevertheless
  uint8_t protocol = 0;
  std::chrono::seconds graceful{0};  // between asking others to take over, and withdrawing
};

class Announcer {
 public:
  // Adopts the routes of an earlier run. Publishes its report to the controller, for the first time before it returns:
  // then what stands in the table is right. Both outlive the announcer.
  static Result<std::unique_ptr<Announcer>> Start(const AnnounceOptions& options, Controller& controller,
                                                  Dataplane& dataplane);
  ~Announcer();  // the routes stay as they are

  // Nothing is announced any more, as it is when the host leaves. Any thread.
  bool has_withdrawn() const;

 private:
  struct Impl;
  explicit Announcer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

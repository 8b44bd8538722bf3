// SPDX-License-Identifier: Apache-2.0
// The checker: one thread that probes every real of every checked VIP at its time, judges the outcomes and tells the
// controller. Follows the controller's snapshot: what is desired, and which entry of the real table each real has.
// Not here: what follows from health (control/weights.h). Wired by daemon/main.cc.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "userspace/base/result.h"
#include "userspace/control/controller.h"

namespace shunt {

class ProgramStarter;

struct CheckerOptions {
  uint32_t max_in_flight = 4096;  // probes under way at once; what is due beyond that waits, and its lateness is told
  // Makes packets with the mark of an entry (dataplane/probe_mark.h) leave through that entry's tunnel, if they are
  // routed by one of these interfaces. Called on the checker's thread whenever others are needed.
  std::function<Status(std::span<const uint32_t> interface_indices)> open_tunnel;
  ProgramStarter* programs = nullptr;  // who starts programs, and outlives the checker; null: the checker itself
};

class Checker {
 public:
  // `controller` outlives the checker.
  static Result<std::unique_ptr<Checker>> Start(Controller& controller, CheckerOptions options);
  ~Checker();  // ends what is under way and stops the thread

 private:
  struct Impl;
  explicit Checker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// How shuntd ends: the signals that stop it, and the way from the first of them to the moment when nothing comes any
// more. Main thread. Not here: taking apart what was wired (main.cc).
#pragma once

#include <chrono>
#include <functional>

#include "userspace/bgp/announcer.h"
#include "userspace/control/controller.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/health/hook.h"

namespace shunt {

struct LeaveOptions {
  std::chrono::seconds withdraw_limit{5};  // how long the announcer has to withdraw, asking others to take over first
  std::chrono::seconds traffic_limit{0};   // how long traffic has to move away
  // The hook may have other events before this one, and each may take its time.
  std::chrono::seconds hook_limit{20};
};

// SIGTERM, SIGINT and SIGHUP, before the first thread starts, so that only the functions below see them.
void BlockSignals();

// Waits for the first of SIGTERM and SIGINT; logs which.
struct WhileServing {
  std::function<void()> reload;     // for each SIGHUP
  std::function<void()> meanwhile;  // at once, and again after each pause
  std::chrono::milliseconds pause{};
};
void AwaitStopSignal(const WhileServing& serving);

// Who is told that the host leaves; null: nobody.
struct Leavers {
  const Hook* hook = nullptr;
  const Announcer* announcer = nullptr;
};

// Stops announcing, then waits for traffic to move away: the host's state becomes leaving, the hook is told and runs to
// its end, the announcer has withdrawn all routes, and then no packet for a VIP has come for a while, or the time is
// up. Another signal ends each wait. Forwards all the while, and says in the log how it goes.
void Leave(const LeaveOptions& options, Controller& controller, Dataplane& dataplane, const Leavers& leavers);

}  // namespace shunt

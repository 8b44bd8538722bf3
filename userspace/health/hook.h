// SPDX-License-Identifier: Apache-2.0
// The event hook: a thread that runs a program of the operator's for each event, one after another, in their order. The
// program is told what happened in its arguments (kind, VIP, real, interface) and, as one line of JSON, on its standard
// input. Not here: what events there are (control/event_log.h). Wired by daemon/main.cc.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "userspace/base/result.h"
#include "userspace/control/event_log.h"

namespace shunt {

class ProgramStarter;

struct HookOptions {
  std::string program;  // absolute path
  std::string user = "nobody";
  std::chrono::milliseconds time_limit{10000};  // one that runs for longer is killed
  uint64_t max_waiting = 1000;                  // of more events that wait, the oldest are left out
  ProgramStarter* programs = nullptr;           // who starts it, and outlives the hook; null: the hook itself
};

class Hook {
 public:
  // From the first event on that `events` keeps. `events` outlives the hook.
  static Result<std::unique_ptr<Hook>> Start(EventLog& events, HookOptions options);
  // Id of the last event that was told to its end, or left out. Any thread.
  uint64_t told() const;
  ~Hook();  // kills the program that is running; what waits is left out

 private:
  struct Impl;
  explicit Hook(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The event as the hook's program reads it, and as `shuntctl events -o json` prints it; ends with a newline.
std::string JsonLine(const Event& event);

}  // namespace shunt

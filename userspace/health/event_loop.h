// SPDX-License-Identifier: Apache-2.0
// The checker's event loop: descriptors (epoll) and timers on one thread. Only Wake() and Stop() may be called from
// others. Callbacks may add and remove anything, themselves too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"

namespace shunt {

class EventLoop {
 public:
  using Ready = std::function<void(uint32_t events)>;  // EPOLL* bits
  using Fire = std::function<void()>;
  using TimerId = uint64_t;  // never 0

  static Result<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();

  // `events`: EPOLLIN, EPOLLOUT; level-triggered. Watching a descriptor again replaces both. Unwatch before closing it.
  Status Watch(int fd, uint32_t events, Ready ready);
  void Unwatch(int fd);  // one that is not watched is no error

  TimerId At(SteadyTime when, Fire fire);  // fires once; in the order of times, equal ones in that of the calls
  void Cancel(TimerId timer);              // one that fired or is unknown is no error

  void OnWake(Fire fire);  // what Wake() makes the loop call, once for any number of calls in between
  void Run();              // until Stop(), which ends one Run(): the one under way, else the next

  void Wake();  // any thread
  void Stop();  // any thread

 private:
  struct Impl;
  explicit EventLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

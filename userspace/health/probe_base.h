// SPDX-License-Identifier: Apache-2.0
// What all probers do alike: measure the time, give up when it is over, tell the outcome once and never from within
// Start(). Derived by every probe_*.h; runs on the checker's thread.
#pragma once

#include <string>

#include "userspace/health/probe.h"

namespace shunt {

class TimedProber : public Prober {
 public:
  ~TimedProber() override;
  void Start(const ProbeRoute& route, std::chrono::milliseconds timeout) final;

 protected:
  TimedProber(EventLoop& loop, OnOutcome done) : loop_(loop), done_(std::move(done)) {}
  TimedProber(const TimedProber&) = delete;
  TimedProber& operator=(const TimedProber&) = delete;

  // Begins. May call Pass() or Fail() already.
  virtual void Ask(const ProbeRoute& route, std::chrono::milliseconds timeout) = 0;
  // The probe is over, however it ended: lets go of what only it needed. Not called by the destructor.
  virtual void End(bool passed) = 0;

  // End the probe. The outcome may destroy this prober: nothing of it may be touched afterwards.
  void Pass() { Tell({.passed = true, .took = {}, .cause = {}}); }
  void Fail(std::string cause) { Tell({.passed = false, .took = {}, .cause = std::move(cause)}); }

  bool under_way() const { return under_way_; }
  EventLoop& loop() { return loop_; }

 private:
  void Tell(Outcome outcome);
  void Finish(Outcome outcome);

  EventLoop& loop_;
  const OnOutcome done_;
  EventLoop::TimerId timer_ = 0;  // of the timeout; of the outcome once it is known
  SteadyTime started_;
  bool under_way_ = false;
  bool starting_ = false;
};

}  // namespace shunt

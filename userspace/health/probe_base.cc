// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/probe_base.h"

#include <utility>

namespace shunt {

TimedProber::~TimedProber() { loop_.Cancel(timer_); }

void TimedProber::Start(const ProbeRoute& route, std::chrono::milliseconds timeout) {
  started_ = std::chrono::steady_clock::now();
  under_way_ = true;
  timer_ = loop_.At(started_ + timeout, [this, timeout] {
    Finish({.took = timeout, .cause = "no answer within " + std::to_string(timeout.count()) + " ms"});
  });
  starting_ = true;
  Ask(route, timeout);
  starting_ = false;
}

void TimedProber::Tell(Outcome outcome) {
  if (!under_way_) return;
  const SteadyTime now = std::chrono::steady_clock::now();
  outcome.took = std::chrono::duration_cast<std::chrono::microseconds>(now - started_);
  loop_.Cancel(timer_);
  timer_ = 0;
  if (!starting_) return Finish(std::move(outcome));
  timer_ = loop_.At(now, [this, known = std::move(outcome)] { Finish(known); });
}

void TimedProber::Finish(Outcome outcome) {
  timer_ = 0;
  under_way_ = false;
  End(outcome.passed);
  const OnOutcome done = done_;  // this prober, and with it done_, may be gone before it returns
  done(std::move(outcome));
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/daemon/leaving.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <signal.h>

#include <functional>
#include <string>

#include "userspace/control/log_once.h"
#include "userspace/control/traffic_watch.h"

namespace shunt {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStep{100};
constexpr seconds kCount{1};      // between two counts of packets
constexpr seconds kProgress{10};  // between two lines of the log

enum class End { kDone, kTimeUp, kSignal };

sigset_t StopSignals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  return stop;
}

sigset_t StopAndReloadSignals() {
  sigset_t signals = StopSignals();
  sigaddset(&signals, SIGHUP);
  return signals;
}

// Asks `is_done` in steps.
End WaitUntil(const std::function<bool(SteadyTime)>& is_done, SteadyTime deadline) {
  const sigset_t stop = StopSignals();
  const timespec step{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kStep).count()};
  for (;;) {
    const SteadyTime now = steady_clock::now();
    if (is_done(now)) return End::kDone;
    if (now >= deadline) return End::kTimeUp;
    if (sigtimedwait(&stop, nullptr, &step) > 0) return End::kSignal;
  }
}

// False: a signal ended it.
bool AwaitHook(const Hook& hook, uint64_t event_id, seconds limit) {
  const SteadyTime start = steady_clock::now();
  const End end = WaitUntil([&](SteadyTime) { return hook.told() >= event_id; }, start + limit);
  if (end == End::kTimeUp) {
    LOG(WARNING) << fmt::format("leaving: the event hook has not been told after {} s; going on without it",
                                limit.count());
  } else if (end == End::kDone) {
    LOG(INFO) << fmt::format("leaving: the event hook was told ({} ms)",
                             std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - start).count());
  }
  return end != End::kSignal;
}

// False: a signal ended it.
bool AwaitWithdrawal(const Announcer& announcer, seconds limit) {
  const SteadyTime start = steady_clock::now();
  const End end = WaitUntil([&](SteadyTime) { return announcer.has_withdrawn(); }, start + limit);
  if (end == End::kTimeUp) {
    LOG(ERROR) << fmt::format("leaving: the routes are not withdrawn after {} s; going on all the same", limit.count());
  } else if (end == End::kDone) {
    LOG(INFO) << fmt::format("leaving: nothing is announced any more ({} ms)",
                             std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - start).count());
  }
  return end != End::kSignal;
}

// Counts packets in steps, and says now and then how many come.
class Departure {
 public:
  Departure(Dataplane& dataplane, SteadyTime deadline) : dataplane_(dataplane), deadline_(deadline) {}

  bool IsOver(SteadyTime now) {
    if (now < count_at_) return false;
    count_at_ = now + kCount;
    const auto verdicts = dataplane_.ReadVerdicts();
    LogOnce("leaving: counting packets: ", verdicts, problem_);
    if (!verdicts) return false;
    watch_.Note(PacketsForVips(*verdicts), now);
    if (watch_.gone()) return true;
    if (now >= progress_at_) {
      progress_at_ = now + kProgress;
      LOG(INFO) << fmt::format("leaving: {:.0f} packets per second still come, {} s are left",
                               watch_.packets_per_second(), std::chrono::ceil<seconds>(deadline_ - now).count());
    }
    return false;
  }

  double packets_per_second() const { return watch_.packets_per_second(); }

 private:
  Dataplane& dataplane_;
  const SteadyTime deadline_;
  TrafficWatch watch_;
  SteadyTime count_at_{};
  SteadyTime progress_at_ = steady_clock::now() + kCount;  // by then there is a rate
  std::string problem_;
};

// False: a signal ended it.
bool AwaitDeparture(Dataplane& dataplane, seconds limit) {
  LOG(INFO) << fmt::format("leaving: waiting up to {} s for traffic to move away; another signal ends the wait",
                           limit.count());
  const SteadyTime deadline = steady_clock::now() + limit;
  Departure departure(dataplane, deadline);
  const End end = WaitUntil([&](SteadyTime now) { return departure.IsOver(now); }, deadline);
  if (end == End::kDone) {
    LOG(INFO) << fmt::format("leaving: no packet for a VIP for {} s: traffic is gone", TrafficWatch::kQuiet.count());
  } else if (end == End::kTimeUp) {
    LOG(WARNING) << fmt::format("leaving: time is up, and {:.0f} packets per second still come",
                                departure.packets_per_second());
  }
  return end != End::kSignal;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = StopAndReloadSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void AwaitStopSignal(const WhileServing& serving) {
  const sigset_t signals = StopAndReloadSignals();
  const auto pause = std::chrono::nanoseconds(serving.pause).count();
  const timespec left{.tv_sec = pause / 1'000'000'000, .tv_nsec = pause % 1'000'000'000};
  int signal_number = 0;
  while (signal_number <= 0 || signal_number == SIGHUP) {
    if (signal_number == SIGHUP) serving.reload();
    serving.meanwhile();
    signal_number = sigtimedwait(&signals, nullptr, &left);
  }
  LOG(INFO) << "leaving: " << (signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
}

void Leave(const LeaveOptions& options, Controller& controller, Dataplane& dataplane, const Leavers& leavers) {
  controller.Leave();
  const bool told =
      leavers.hook == nullptr || AwaitHook(*leavers.hook, controller.events().last_id(), options.hook_limit);
  const bool withdrawn =
      told && (leavers.announcer == nullptr || AwaitWithdrawal(*leavers.announcer, options.withdraw_limit));
  const bool waited =
      withdrawn && (options.traffic_limit == seconds(0) || AwaitDeparture(dataplane, options.traffic_limit));
  if (!waited) LOG(WARNING) << "leaving: another signal: not waiting any longer";
  LOG(INFO) << "stopping";
}

}  // namespace shunt

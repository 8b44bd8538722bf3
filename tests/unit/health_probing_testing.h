// SPDX-License-Identifier: Apache-2.0
// For the tests of health/probing.h: a clock of their own, and probers whose answers they choose.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/control_testing.h"
#include "userspace/health/probing.h"

namespace shunt::testing::probing {

inline const VipKey kVip = Key("203.0.113.10:80/tcp");
inline const VipKey kOther = Key("203.0.113.11:80/tcp");

// Time, and reals that answer after a while, or not at all.
struct World {
  struct Answer {
    bool passes = true;
    std::chrono::milliseconds after{1};
    std::string cause = "refused";
  };
  struct UnderWay {
    SteadyTime ends;
    Outcome outcome;
    OnOutcome done;
    const void* prober;
  };
  struct Start {
    IpAddress real;
    SteadyTime at;
    std::chrono::milliseconds timeout{};
    uint32_t mark = 0;
  };

  Probing::Environment Environment(uint32_t max_in_flight);
  explicit World(uint32_t max_in_flight = 4096) : probing(Environment(max_in_flight)) {}

  void Follow(const TargetTable& targets, const Liveness& liveness = {}) { probing.Follow(targets, liveness); }

  // Lets time pass, and everything happen in it.
  void Pass(SteadyTime::duration time);

  size_t StartsOf(const IpAddress& real) const {
    return static_cast<size_t>(std::ranges::count(starts, real, &Start::real));
  }
  Health HealthIn(const VipKey& vip, const IpAddress& real) const { return Report(vip, real).health; }
  RealReport Report(const VipKey& vip, const IpAddress& real) const { return probing.Report().vips.at(vip).at(real); }

  Moment now{SteadyTime(std::chrono::seconds(1000)), std::chrono::system_clock::time_point(std::chrono::seconds(1000))};
  std::map<IpAddress, Answer> answers;
  std::string tunnel_problem;
  std::vector<Start> starts;
  std::vector<UnderWay> under_way;
  size_t most_under_way = 0;
  size_t probers = 0;
  std::vector<HealthChange> changes;
  size_t told_of_news = 0;
  Probing probing;  // last: its probers know the rest
};

class FakeProber final : public Prober {
 public:
  FakeProber(World& world, const ProbeTarget& target, OnOutcome done)
      : world_(world), target_(target), done_(std::move(done)) {
    ++world_.probers;
  }
  ~FakeProber() override {
    --world_.probers;
    std::erase_if(world_.under_way, [this](const auto& probe) { return probe.prober == this; });
  }

  void Start(const ProbeRoute& route, std::chrono::milliseconds timeout) override {
    const bool again =
        std::ranges::any_of(world_.under_way, [this](const auto& probe) { return probe.prober == this; });
    REQUIRE_FALSE(again);
    world_.starts.push_back({target_.real, world_.now.steady, timeout, route.mark});
    const World::Answer& answer = world_.answers[target_.real];
    const std::chrono::milliseconds took = std::min(answer.after, timeout);
    const Outcome outcome = answer.after > timeout ? Outcome{.took = took, .cause = "silent"}
                            : answer.passes        ? Outcome{.passed = true, .took = took}
                                                   : Outcome{.took = took, .cause = answer.cause};
    world_.under_way.push_back({world_.now.steady + took, outcome, done_, this});
    world_.most_under_way = std::max(world_.most_under_way, world_.under_way.size());
  }
  uint32_t sockets() const override { return 1; }

 private:
  World& world_;
  const ProbeTarget target_;
  const OnOutcome done_;
};

inline Probing::Environment World::Environment(uint32_t max_in_flight) {
  return {
      .max_in_flight = max_in_flight,
      .seed = 1,
      .now = [this] { return now; },
      .make_prober = [this](const ProbeTarget& target,
                            OnOutcome done) { return std::make_unique<FakeProber>(*this, target, std::move(done)); },
      .tunnel_problem = [this](const IpAddress&) { return tunnel_problem; },
      .on_news = [this] { ++told_of_news; }};
}

inline void World::Pass(SteadyTime::duration time) {
  const Moment end{now.steady + time, now.wall + time};
  for (;;) {
    SteadyTime next = end.steady;
    if (const auto due = probing.next_due()) next = std::min(next, std::max(*due, now.steady));
    auto ended = std::ranges::min_element(under_way, {}, &UnderWay::ends);
    const bool answers_first = ended != under_way.end() && ended->ends <= next;
    if (answers_first) next = ended->ends;
    if (next >= end.steady) break;
    now.wall += next - now.steady;
    now.steady = next;
    if (answers_first) {
      const UnderWay probe = std::move(*ended);
      under_way.erase(ended);
      probe.done(probe.outcome);
    } else {
      probing.Turn();
    }
    for (HealthChange& change : probing.TakeChanges()) changes.push_back(std::move(change));
  }
  now = end;
}

inline HealthCheck TcpCheck() {
  return {
      .kind = CheckKind::kTcp, .via = ProbeVia::kDirect, .interval_ms = 1000, .timeout_ms = 200, .jitter_percent = 0};
}

inline IpAddress RealNumber(int number) { return Address(fmt::format("10.0.{}.{}", number / 250, number % 250 + 1)); }

inline Snapshot Checked(const HealthCheck& check, int reals, const std::vector<VipKey>& vips = {kVip}) {
  DesiredState state;
  for (const VipKey& vip : vips) {
    state.vips[vip].health = check;
    for (int i = 0; i < reals; ++i) state.vips[vip].reals[RealNumber(i)] = {};
  }
  return {.desired = state, .plan = {}, .next_hops = {}};
}

inline const IpAddress kReal = RealNumber(0);

}  // namespace shunt::testing::probing

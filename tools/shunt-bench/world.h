// SPDX-License-Identifier: Apache-2.0
// One world of `shunt-bench consistency`: balancers that share their VIP, clients with flows through them, and a
// history of changes that happen to it. Every flow's real is noted packet by packet. Not here: which histories
// (consistency.cc). One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tools/shunt-bench/instance.h"
#include "tools/shunt-bench/wrapper.h"

namespace shunt::bench {

// Something that happens at a time, in seconds since the first flows were opened.
struct Change {
  double at_s = 0;
  std::function<void(Vip&)> edit = {};  // of every balancer
  bool balancer_leaves = false;         // the last one; its flows go to the others
};

struct History {
  std::string name;
  std::vector<Change> changes;  // by time
  uint32_t balancers = 1;
  Protocol protocol = Protocol::kTcp;
  bool flood = false;  // of packets that open flows, ten times as many as the table holds
};

class World {
 public:
  static constexpr double kEndS = 22;
  static constexpr uint32_t kCohortFlows = 3000;
  static constexpr uint32_t kFlows = 4 * kCohortFlows;
  static constexpr uint16_t kReals = 10;  // 1 to 10, of weight 10

  // `wrapper` outlives the world, and can note kFlows answers.
  static Result<std::unique_ptr<World>> Make(const History& history, Tracking tracking, Wrapper& wrapper);

  // A new life, in which nothing has happened yet; each has a VIP and a hash key of its own.
  Status Begin(uint8_t life);

  // What happens up to now: changes, then a packet of each flow that is open, then the sweeper.
  Status Step(double now_s);

  uint64_t broken() const;  // flows that left a real which still served
  uint64_t slots_moving();  // of all balancers

 private:
  struct Balancer {
    std::unique_ptr<Instance> instance;
    uint32_t subject = 0;  // of the wrapper
  };
  // Flows that take the same way: those of one cohort that one balancer gets.
  struct Stretch {
    uint64_t first = 0;
    uint64_t count = 0;
    size_t balancer = 0;
  };
  // When flows are opened, and a time in which they say nothing.
  struct Habit {
    double opens_at_s = 0;
    double quiet_from_s = kEndS;
    double quiet_until_s = kEndS;
    bool SpeaksAt(double now_s) const {
      return now_s >= opens_at_s && (now_s < quiet_from_s || now_s >= quiet_until_s);
    }
  };
  struct Cohort {
    Habit habit;
    double opened_at_s = kEndS;  // when it really was
    uint32_t packets = 0;        // of each flow, so far
    std::vector<Stretch> stretches = {};
  };
  static const Habit kHabits[kFlows / kCohortFlows];

  World(const History& history, Tracking tracking, Wrapper& wrapper)
      : history_(history), tracking_(tracking), wrapper_(wrapper) {}
  Status Apply(const Change& change);
  Status ApplyDesired();
  void LoseBalancer();
  Status SendAll(Cohort& cohort, double now_s);
  Status SendFlood(double now_s);
  std::vector<bool> ServingReals() const;  // by number
  void Compare(uint64_t first, const std::vector<uint16_t>& answers);
  VipKey vip() const { return NumberedVip(life_, history_.protocol); }
  std::span<Balancer> in_service() { return std::span(balancers_).first(serving_); }

  const History history_;
  const Tracking tracking_;
  Wrapper& wrapper_;
  std::vector<Balancer> balancers_;

  uint8_t life_ = 0;
  DesiredState desired_;
  size_t serving_ = 0;  // balancers, the first ones; others have left
  std::vector<Cohort> cohorts_;
  std::vector<uint16_t> answers_;  // by flow: the real that it is at; 0: none yet
  std::vector<bool> broken_;       // by flow
  size_t changes_made_ = 0;
  uint64_t flooded_ = 0;
};

}  // namespace shunt::bench

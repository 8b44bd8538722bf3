// SPDX-License-Identifier: Apache-2.0
// What the writer does as time goes by.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "userspace/control/health_events.h"
#include "userspace/control/writer.h"

namespace shunt {
namespace {

// What could not be written is tried again after so long.
constexpr std::chrono::seconds kRetry{1};

}  // namespace

SteadyTime Writer::due_at() const {
  if (plan_in_doubt_) return SteadyTime::max();  // until Refresh() has mended it
  const SteadyTime due_at =
      std::min({health_.due_at(), sweeper_.due_at(), drains_.due_at(), pending_.due_at(), generations_.due_at()});
  return current_->plan.vips.empty() ? due_at : std::min(due_at, measure_at_);
}

Status Writer::Tend() {
  const SteadyTime now = now_();
  Status first_error;
  const auto run = [&](bool is_due, Status (Writer::*step)(SteadyTime)) {
    if (!is_due || plan_in_doubt_) return;
    if (auto done = (this->*step)(now); !done && first_error) first_error = std::move(done);
  };
  run(now >= pending_.due_at(), &Writer::TakeBackUnconfirmed);
  run(now >= health_.due_at(), &Writer::FollowHealth);
  run(now >= sweeper_.due_at(), &Writer::Sweep);
  run(true, &Writer::EndDrains);
  run(now >= measure_at_, &Writer::MeasureActivity);
  run(now >= generations_.due_at(), &Writer::KeepGenerations);
  return first_error;
}

void Writer::NoteHealth(const std::vector<HealthChange>& changes) {
  for (const HealthChange& change : changes) {
    if (!health_.Note(change, current_->desired, now_())) continue;
    events_.Add({.id = 0,
                 .at = {},
                 .kind = change.health == Health::kUp ? "real_up" : "real_down",
                 .vip = change.vip.ToString(),
                 .real = change.real.ToString(),
                 .cause = change.cause});
  }
}

void Writer::TellHost() {
  const auto& [kind, cause] = [this]() -> std::pair<std::string, std::string> {
    switch (current_->host) {
      case HostPhase::kServing:
        return {"host_serving", "its VIPs may be announced"};
      case HostPhase::kDraining:
        return {"host_draining", "an operator drains it: its VIPs are not to be announced"};
      case HostPhase::kLeaving:
        return {"host_leaving", "shuntd is about to stop: its VIPs are not to be announced"};
    }
    return {};
  }();
  events_.Add({.id = 0, .at = {}, .kind = kind, .vip = "", .real = "", .cause = cause});
}

void Writer::Leave() {
  if (std::exchange(leaving_, true)) return;
  Publish(*current_);
  TellHost();
}

Status Writer::FollowHealth(SteadyTime now) {
  HealthInForce due = health_.WeighDue(current_->desired, now);
  WeightTable weights = current_->weights;
  bool is_reweighed = false;
  for (const auto& [key, vip] : due.weights) {
    VipWeights& in_force = weights.at(key);
    is_reweighed |= in_force.reals != vip.reals;
    in_force = vip;
  }
  std::vector<VipKey> rings_changed;
  auto plan = is_reweighed ? MakeNextPlan(current_->desired, weights, current_->next_hops, &due.weights)
                           : Result<Plan>(current_->plan);
  if (is_reweighed) {
    const Status written = plan ? Write(*plan) : std::unexpected(plan.error());
    if (!written) {
      health_.Postpone(now + kRetry);
      return Context("following the reals' health", written.error());
    }
    for (const auto& [key, vip] : due.weights) {
      if (plan->vips.at(key).ring != current_->plan.vips.at(key).ring) rings_changed.push_back(key);
    }
  }
  std::vector<Event> events;
  for (const auto& [key, vip] : due.weights) {
    std::ranges::move(EventsOf(key, {current_->desired, health_.in_force()}, {current_->desired, due}),
                      std::back_inserter(events));
  }
  health_.Update(std::move(due), rings_changed, current_->desired, now);
  Publish({.desired = current_->desired,
           .plan = *std::move(plan),
           .next_hops = current_->next_hops,
           .liveness = health_.in_force().liveness,
           .weights = std::move(weights),
           .generation = current_->generation});
  for (Event& event : events) events_.Add(std::move(event));
  return {};
}

Status Writer::Sweep(SteadyTime now) {
  const auto step = sweeper_.Step(current_->desired, current_->plan, now);
  if (!step) return Context("sweeping the flow table", step.error());
  for (const SlotChanges& change : step->changes) {
    if (auto set = dataplane_.SetSlots(change.vip_id, change.ring, change.slots); !set) {
      plan_in_doubt_ = true;
      return Context(fmt::format("settling slots of vip {}", change.vip.ToString()), set.error());
    }
  }
  const bool is_news =
      step->ended_pass && sweeper_.Progress(current_->desired, current_->plan, now) != current_->observed->slots;
  if (step->changes.empty() && !is_news) return {};
  Snapshot next = *current_;
  for (const SlotChanges& change : step->changes) {
    PlannedVip& vip = next.plan.vips.at(change.vip);
    vip.ring = change.ring;
    vip.unsettled = change.unsettled;
  }
  Publish(std::move(next));
  return {};
}

// Each by itself: one that may not go, because it is the last of its VIP's group, keeps no other. While a change waits
// to be confirmed nothing else changes, and they stay.
Status Writer::EndDrains(SteadyTime now) {
  Status first_error;
  for (const EndedDrain& drain : drains_.Ended(current_->desired, current_->plan, sweeper_.census(), now)) {
    if (pending_.waiting()) continue;
    const auto remove = [&drain](DesiredState& state) -> Status {
      state.vips.at(drain.vip).reals.erase(drain.real);
      return {};
    };
    if (auto removed = Change(remove, false, ChangeTerms{.by = "shuntd: a drain ended"}); !removed) {
      const std::string doing =
          fmt::format("removing real {} of vip {}, which has drained", drain.real.ToString(), drain.vip.ToString());
      if (first_error) first_error = Context(doing, removed.error());
      continue;
    }
    events_.Add({.id = 0,
                 .at = {},
                 .kind = "drain_ended",
                 .vip = drain.vip.ToString(),
                 .real = drain.real.ToString(),
                 .cause = drain.flows_are_gone ? "its flows are gone: it was removed"
                                               : "its time is up: it was removed with the flows it had left"});
  }
  return first_error;
}

Status Writer::MeasureActivity(SteadyTime now) {
  measure_at_ = now + ActivityMeter::kInterval;
  auto measured = meter_.Turn(current_->plan, now);
  if (!measured) return Context("measuring flows", measured.error());
  activity_ = *std::move(measured);
  if (activity_ != current_->observed->activity) Publish(*current_);
  return {};
}

void Writer::Synchronize() {
  // Only to save the next change the wait: it waits itself where it has to, and tells of what is wrong.
  static_cast<void>(dataplane_.Synchronize());
}

}  // namespace shunt

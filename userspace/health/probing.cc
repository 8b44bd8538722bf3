// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/probing.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace shunt {

using std::chrono::milliseconds;

struct Probing::Live {
  const TargetKey* key = nullptr;  // stands in ids_
  WantedTarget wanted;
  std::vector<Checked*> reals;     // of wanted.subscribers, in their order; they stand in reals_
  std::unique_ptr<Prober> prober;  // made for the first probe that can be sent
  Latency latency;
  LatencyFigures figures;  // of the report that is being made
  bool under_way = false;
  uint64_t probe = 0;  // number of the one under way, or of the last
  SteadyTime started_at;
  size_t told = 0;  // so many subscribers have had their outcome of the probe under way
};

namespace {

Outcome NoAnswerWithin(milliseconds timeout) {
  return {.passed = false, .took = timeout, .cause = fmt::format("no answer within {} ms", timeout.count())};
}

bool SamePace(const WantedTarget& a, const WantedTarget& b) {
  return a.interval() == b.interval() && a.failing_interval() == b.failing_interval() &&
         a.jitter_percent() == b.jitter_percent();
}

}  // namespace

Probing::Probing(Environment environment) : environment_(std::move(environment)), schedule_(environment_.seed) {}
Probing::~Probing() = default;

void Probing::Follow(TargetTable wanted, const Liveness& liveness) {
  const Moment now = environment_.now();
  Expire(now);
  std::vector<uint32_t> gone;
  for (const auto& [key, id] : ids_) {
    if (!wanted.contains(key)) gone.push_back(id);
  }
  for (const uint32_t id : gone) Remove(id);
  auto before = std::exchange(reals_, {});
  for (auto& [key, target] : wanted) {
    const auto known = ids_.find(key);
    const bool is_new = known == ids_.end();
    const uint32_t id = is_new ? Add(key) : known->second;
    Live& live = *live_[id];
    const bool other_pace = is_new || !SamePace(live.wanted, target);
    live.wanted = std::move(target);
    Subscribe(live, before, liveness, now);
    if (is_new) schedule_.Add(id, PaceOf(live), now.steady);
    if (other_pace) schedule_.Repace(id, PaceOf(live), now.steady);
    if (live.under_way) ShareProbeUnderWay(id, now.steady);
  }
  totals_.targets = ids_.size();
  TellAgain(liveness);
}

uint32_t Probing::Add(const TargetKey& key) {
  if (free_ids_.empty()) {
    free_ids_.push_back(static_cast<uint32_t>(live_.size()));
    live_.emplace_back();
  }
  const uint32_t id = free_ids_.back();
  free_ids_.pop_back();
  live_[id] = std::make_unique<Live>();
  live_[id]->key = &ids_.emplace(key, id).first->first;
  return id;
}

void Probing::Remove(uint32_t id) {
  const Live& live = *live_[id];
  if (live.under_way) --totals_.in_flight;
  schedule_.Remove(id);
  ids_.erase(ids_.find(*live.key));
  live_[id].reset();
  free_ids_.push_back(id);
}

void Probing::Subscribe(Live& live, std::map<CheckedRealKey, Checked>& before, const Liveness& liveness,
                        const Moment& now) {
  live.reals.clear();
  for (const Subscriber& subscriber : live.wanted.subscribers) {
    const auto& [vip, real] = subscriber.key;
    if (auto known = before.extract(subscriber.key)) {
      reals_.insert(std::move(known));
    } else {
      Health health = HealthOf(liveness, vip, real);
      if (health == Health::kUnchecked) health = Health::kUnknown;
      reals_.try_emplace(subscriber.key, Checked{.real = CheckedReal(health, subscriber.rules, now)});
    }
    Checked& checked = reals_.at(subscriber.key);
    checked.real.set_rules(subscriber.rules);
    checked.live = &live;
    live.reals.push_back(&checked);
  }
}

// Its outcome is for all who share the target now, but for those who would have given up already.
void Probing::ShareProbeUnderWay(uint32_t id, SteadyTime now) {
  Live& live = *live_[id];
  const auto& subscribers = live.wanted.subscribers;
  const auto waits = [&](const Subscriber& subscriber) {
    return subscriber.timeout == live.wanted.timeout() || live.started_at + subscriber.timeout > now;
  };
  live.told = static_cast<size_t>(std::ranges::find_if(subscribers, waits) - subscribers.begin());
  AwaitExpiry(id);
}

// Whoever left and came back between two looks is new to the writer, but not here.
void Probing::TellAgain(const Liveness& liveness) {
  for (const auto& [key, checked] : reals_) {
    const Health health = checked.real.health();
    if (health != Health::kUnknown && health != HealthOf(liveness, key.first, key.second))
      NoteChange(key, checked.real);
  }
}

bool Probing::Turn() {
  const Moment now = environment_.now();
  Expire(now);
  for (uint32_t starts = 0; totals_.in_flight < environment_.max_in_flight; ++starts) {
    if (starts == kStartsPerTurn) return false;
    const auto due = schedule_.Take(now.steady);
    if (!due) return true;
    lateness_.Note(std::chrono::duration_cast<std::chrono::microseconds>(due->late), now.steady);
    Start(due->target, now);
  }
  return true;
}

std::optional<SteadyTime> Probing::next_due() const {
  // With no room left, the next end of a probe makes some.
  auto due = totals_.in_flight < environment_.max_in_flight ? schedule_.next_due() : std::nullopt;
  if (!expiries_.empty() && (!due || expiries_.front().when < *due)) due = expiries_.front().when;
  return due;
}

void Probing::Start(uint32_t id, const Moment& now) {
  Live& live = *live_[id];
  live.started_at = now.steady;
  live.told = 0;
  live.probe = ++totals_.started;
  live.under_way = true;
  ++totals_.in_flight;
  const ProbeTarget& target = live.key->target;
  std::string problem = live.wanted.problem;
  if (problem.empty() && target.via == ProbeVia::kTunnel) problem = environment_.tunnel_problem(target.destination);
  if (!problem.empty()) return End(id, {.passed = false, .took = {}, .cause = std::move(problem)});
  if (!live.prober) {
    live.prober = environment_.make_prober(target, [this, id](const Outcome& outcome) { End(id, outcome); });
  }
  AwaitExpiry(id);
  live.prober->Start(live.wanted.route, live.wanted.timeout());
}

void Probing::End(uint32_t id, const Outcome& outcome) {
  Live& live = *live_[id];
  const Moment now = environment_.now();
  live.under_way = false;
  if (totals_.in_flight-- == environment_.max_in_flight) environment_.on_news();
  ++(outcome.passed ? totals_.passed : totals_.failed);
  if (outcome.passed) live.latency.Note(static_cast<uint32_t>(std::max<int64_t>(outcome.took.count(), 0)));
  Tell(live, live.reals.size(), outcome, now);
  schedule_.GiveBack(id, PaceOf(live), live.started_at, now.steady);
}

// The next ones that were not told of the probe under way, up to `until`.
void Probing::Tell(Live& live, size_t until, const Outcome& outcome, const Moment& now) {
  for (; live.told < until; ++live.told) {
    const Subscriber& subscriber = live.wanted.subscribers[live.told];
    CheckedReal& real = live.reals[live.told]->real;
    const bool too_late = outcome.passed && outcome.took > subscriber.timeout;
    if (real.Note(too_late ? NoAnswerWithin(subscriber.timeout) : outcome, now)) NoteChange(subscriber.key, real);
  }
}

// One that waits less long than the target's own timeout has its failure when its own time is up.
void Probing::AwaitExpiry(uint32_t id) {
  const Live& live = *live_[id];
  if (live.told == live.wanted.subscribers.size()) return;
  const milliseconds timeout = live.wanted.subscribers[live.told].timeout;
  if (timeout == live.wanted.timeout()) return;
  expiries_.push_back({.when = live.started_at + timeout, .id = id, .probe = live.probe});
  std::ranges::push_heap(expiries_, std::greater());
}

void Probing::Expire(const Moment& now) {
  while (!expiries_.empty() && expiries_.front().when <= now.steady) {
    std::ranges::pop_heap(expiries_, std::greater());
    const Expiry expiry = expiries_.back();
    expiries_.pop_back();
    Live* live = live_[expiry.id].get();
    if (live == nullptr || !live->under_way || live->probe != expiry.probe) continue;
    while (live->told < live->reals.size()) {
      const milliseconds timeout = live->wanted.subscribers[live->told].timeout;
      if (timeout == live->wanted.timeout() || live->started_at + timeout > now.steady) break;
      Tell(*live, live->told + 1, NoAnswerWithin(timeout), now);
    }
    AwaitExpiry(expiry.id);
  }
}

// As often as whoever shares it and is in the greatest hurry wants. One on the way down is asked at the short end of
// its jitter, and no more seldom than before, so that `fall` failures take no longer than `fall` intervals, wherever
// the first was on its way.
Schedule::Pace Probing::PaceOf(const Live& live) const {
  Schedule::Pace pace{.interval = Schedule::Duration::max(), .jitter_percent = live.wanted.jitter_percent()};
  for (size_t i = 0; i < live.reals.size(); ++i) {
    const Subscriber& subscriber = live.wanted.subscribers[i];
    const CheckedReal& real = live.reals[i]->real;
    Schedule::Duration interval = subscriber.interval;
    if (real.health() == Health::kDown) {
      interval = subscriber.failing_interval;
    } else if (real.is_failing()) {
      interval = subscriber.shortest_interval();
      interval = interval * (100 - pace.jitter_percent) / 100;
    }
    pace.interval = std::min(pace.interval, interval);
  }
  return pace;
}

void Probing::NoteChange(const CheckedRealKey& key, const CheckedReal& real) {
  const std::string& reason = real.reason();
  changes_.push_back({.vip = key.first,
                      .real = key.second,
                      .health = real.health(),
                      .cause = reason.empty() ? "judged before" : reason});
  environment_.on_news();
}

std::vector<HealthChange> Probing::TakeChanges() { return std::exchange(changes_, {}); }

HealthReport Probing::Report() const {
  const Moment now = environment_.now();
  HealthReport report{.vips = {}, .totals = totals_};
  for (const auto& live : live_) {
    if (!live) continue;
    live->figures = live->latency.figures();
    if (live->prober) report.totals.sockets += live->prober->sockets();
  }
  std::map<IpAddress, RealReport>* reals = nullptr;
  const VipKey* last = nullptr;
  for (const auto& [key, checked] : reals_) {
    if (last == nullptr || *last != key.first) reals = &report.vips[key.first];
    last = &key.first;
    reals->emplace_hint(reals->end(), key.second, checked.real.Report(checked.live->figures, now));
  }
  const LatenessFigures late = lateness_.Figures(now.steady);
  report.totals.late_p50_us = late.p50_us;
  report.totals.late_p99_us = late.p99_us;
  report.totals.late_max_us = late.max_us;
  return report;
}

std::set<IpAddress> Probing::tunnelled_vips() const {
  std::set<IpAddress> vips;
  for (const auto& [key, id] : ids_) {
    if (key.target.via == ProbeVia::kTunnel) vips.insert(key.target.destination);
  }
  return vips;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glog/logging.h>
#include <poll.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "userspace/control/health_events.h"
#include "userspace/control/id_allocation.h"
#include "userspace/control/next_hop_notes.h"
#include "userspace/control/planner.h"
#include "userspace/control/writes.h"
#include "userspace/model/diff.h"
#include "userspace/model/store_file.h"
#include "userspace/model/validate.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long a change waits for the next hops of new reals, so that no packet is sent to a real whose neighbour is
// just being asked for its MAC.
constexpr milliseconds kPatience{200};
constexpr size_t kShownLines = 10;

// Something may still become known that was not known to be missing before.
bool IsWorthWaiting(const NextHopTable& table, const NextHopTable& before) {
  return std::ranges::any_of(table, [&before](const auto& entry) {
    if (entry.second.next_hop) return false;
    const auto old = before.find(entry.first);
    return old == before.end() || old->second.next_hop.has_value();
  });
}

// False: nothing changed up to the deadline, or nothing ever will.
Result<bool> WaitForChange(NextHopSource& next_hops, SteadyTime deadline) {
  if (next_hops.fd() < 0) return false;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds(0)) return false;
    pollfd waiting{.fd = next_hops.fd(), .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
    auto changed = next_hops.Changed();
    if (!changed || *changed) return changed;
  }
}

void AddMovedFlows(const Plan& before, const Plan& after, std::vector<std::string>& warnings) {
  const std::vector<std::string> moved = MovedFlows(before, after);
  const size_t shown = std::min(moved.size(), kShownLines);
  warnings.insert(warnings.end(), moved.begin(), moved.begin() + static_cast<std::ptrdiff_t>(shown));
  if (moved.size() > shown) warnings.push_back(fmt::format("and {} more", moved.size() - shown));
}

std::vector<Event> EventsOfAll(const HealthMoment& before, const HealthMoment& after) {
  std::vector<Event> events;
  for (const auto& [key, vip] : after.desired.vips)
    std::ranges::move(EventsOf(key, before, after), std::back_inserter(events));
  return events;
}

Status Check(const DesiredState& wanted, const Capacities& capacities) {
  const auto problems = Validate(wanted, capacities);
  if (problems.empty()) return {};
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.ToString());
  return Fail(ErrorKind::kInvalid, fmt::format("{}", fmt::join(lines, "\n")));
}

}  // namespace

Writer::Writer(std::string store_path, Dataplane& dataplane, NextHopSource& next_hops, EventLog& events, Clock now,
               uint32_t kept_generations)
    : store_path_(std::move(store_path)),
      dataplane_(dataplane),
      next_hops_(next_hops),
      events_(events),
      now_(std::move(now)),
      sweeper_(dataplane),
      meter_(dataplane),
      generations_(store_path_, kept_generations),
      pending_(generations_.history()),
      measure_at_(now_() + ActivityMeter::kInterval),
      current_(std::make_shared<const Snapshot>()) {}

std::shared_ptr<const Snapshot> Writer::snapshot() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void Writer::Publish(Snapshot next) {
  all_resolved_ =
      std::ranges::all_of(next.next_hops, [](const auto& entry) { return entry.second.next_hop.has_value(); });
  next.host = PhaseOf(next.desired);
  drains_.Note(next.desired, next.plan, now_());
  next.observed = std::make_shared<const Observation>(
      Observation{.slots = sweeper_.Progress(next.desired, next.plan, now_()), .activity = activity_});
  next.store = std::make_shared<const StoreStatus>(StoreStatus{
      .generation = generations_.current(), .unkept = generations_.unkept(), .unconfirmed = pending_.waiting()});
  auto published = std::make_shared<const Snapshot>(std::move(next));
  const std::lock_guard lock(mutex_);
  current_.swap(published);
}

HostPhase Writer::PhaseOf(const DesiredState& desired) const {
  if (leaving_) return HostPhase::kLeaving;
  return desired.host == HostState::kDrain ? HostPhase::kDraining : HostPhase::kServing;
}

Result<NextHopTable> Writer::Resolve(const DesiredState& wanted, milliseconds patience) {
  const std::set<IpAddress> reals = RealsOf(wanted);
  const SteadyTime deadline = steady_clock::now() + patience;
  follows_current_ = false;
  for (;;) {
    auto table = next_hops_.Resolve(reals);
    if (!table || !IsWorthWaiting(*table, current_->next_hops)) return table;
    const auto changed = WaitForChange(next_hops_, deadline);
    if (!changed) return std::unexpected(changed.error());
    if (!*changed) return table;
  }
}

Result<Plan> Writer::MakeNextPlan(const DesiredState& desired, const WeightTable& weights,
                                  const NextHopTable& next_hops, const WeightTable* reweighed) const {
  return MakePlan({.desired = desired,
                   .weights = weights,
                   .next_hops = next_hops,
                   .capacities = dataplane_.capacities(),
                   .now = now_(),
                   .reweighed = reweighed},
                  current_->plan);
}

Result<ChangeReport> Writer::Change(const EditFunction& edit, bool dry_run, const ChangeTerms& terms) {
  if (auto may = dry_run ? Status{} : MayChange(terms); !may) return std::unexpected(may.error());
  DesiredState wanted = current_->desired;
  if (auto edited = edit(wanted); !edited) return std::unexpected(edited.error());
  const bool lacks_key = wanted.hash_key == HashKey{};
  FillFromForce(current_->desired, wanted);
  if (auto checked = Check(wanted, dataplane_.capacities()); !checked) return std::unexpected(checked.error());
  ChangeReport report{.changes = Diff(current_->desired, wanted),
                      .warnings = {},
                      .generation = generations_.current(),
                      .confirm_within = std::nullopt};
  if (report.changes.empty()) return ChangeNothing(std::move(report), wanted, lacks_key, dry_run, terms);

  // Following other reals starts neighbour discovery, so a dry run makes do with what is known.
  auto next_hops = dry_run ? Result<NextHopTable>(current_->next_hops) : Resolve(wanted, kPatience);
  if (!next_hops) return std::unexpected(next_hops.error());
  report.warnings = UnresolvedReals(wanted, *next_hops);
  if (plan_in_doubt_ && !dry_run) {
    if (auto read = ReadBack(); !read) return std::unexpected(read.error());
  }
  HealthInForce health = health_.WeighAll(current_->desired, wanted, now_());
  auto plan = MakeNextPlan(wanted, health.weights, *next_hops);
  if (!plan) return std::unexpected(plan.error());
  AddMovedFlows(current_->plan, *plan, report.warnings);
  if (dry_run) return report;

  auto store = PrepareStoreFor(wanted, lacks_key, terms);
  if (!store) return std::unexpected(store.error());
  if (auto written = Write(*plan); !written) {
    GiveUpConfirmation(terms);
    return std::unexpected(written.error());
  }
  if (auto committed = CommitStore(*store, terms); !committed) {
    Error error = Undo(committed.error(), *plan);
    store_in_doubt_ |= *store && (*store)->replaced();  // and only its folder unsynced
    if (auto saved = PutBackStore(); !saved) {
      error.message += "\nbut the store holds the change, and putting it back, which will be tried again, failed: " +
                       saved.error().message;
    }
    GiveUpConfirmation(terms);
    return std::unexpected(error);
  }
  follows_current_ = true;
  plan_in_doubt_ = false;
  store_in_doubt_ = false;
  const HostPhase phase_before = current_->host;
  const std::vector<Event> events = EventsOfAll({current_->desired, health_.in_force()}, {wanted, health});
  NoteGeneration(wanted, terms, report);
  Publish({.desired = std::move(wanted),
           .plan = std::move(*plan),
           .next_hops = std::move(*next_hops),
           .liveness = health.liveness,
           .weights = health.weights,
           .generation = current_->generation + 1});
  health_.Replace(std::move(health));
  if (current_->host != phase_before) TellHost();
  for (const Event& event : events) events_.Add(event);
  LOG(INFO) << fmt::format("generation {} of the store, by {}: applied a change of {} {}", report.generation, terms.by,
                           report.changes.size(), report.changes.size() == 1 ? "line" : "lines");
  return report;
}

Status Writer::PutBackStore() {
  if (!store_in_doubt_) return {};
  if (auto saved = Save(current_->desired); !saved) return saved;
  store_in_doubt_ = false;
  return {};
}

Status Writer::Refresh() {
  const Status put_back = PutBackStore();
  const Status followed = FollowNextHops();
  return followed ? put_back : followed;
}

Status Writer::FollowNextHops() {
  auto next_hops = next_hops_.Resolve(RealsOf(current_->desired));
  if (!next_hops) return std::unexpected(next_hops.error());
  follows_current_ = true;
  if (*next_hops == current_->next_hops && !plan_in_doubt_) return {};
  if (plan_in_doubt_) {
    if (auto read = ReadBack(); !read) return read;
  }
  auto plan = MakeNextPlan(current_->desired, current_->weights, *next_hops);
  if (!plan) return std::unexpected(plan.error());
  if (auto written = Write(*plan); !written) return written;
  plan_in_doubt_ = false;
  LogNextHops(current_->next_hops, *next_hops);
  Snapshot next = *current_;
  next.plan = *std::move(plan);
  next.next_hops = *std::move(next_hops);
  ++next.generation;
  Publish(std::move(next));
  return {};
}

Status Writer::Write(const Plan& plan) {
  sweeper_.NotePlan(now_());
  const Status written = Execute(OrderWrites(current_->plan, plan), plan, dataplane_);
  if (written) return {};
  return std::unexpected(Undo(written.error(), plan));
}

// Returns the cause, with a line on what became of the undo.
Error Writer::Undo(const Error& cause, const Plan& attempted) {
  const Status reverted = Revert(attempted, current_->plan, dataplane_);
  // Flows may have been remembered for what stood there for a moment.
  Snapshot restored = *current_;
  RestFreed(attempted, restored.plan, now_());
  Publish(std::move(restored));
  if (reverted) return {cause.kind, cause.message + "\nthe data plane was put back as it was, the store is unchanged"};
  plan_in_doubt_ = true;
  return {cause.kind, fmt::format("{}\nthe store is unchanged, but putting the data plane back failed too, and will be "
                                  "tried again: {}",
                                  cause.message, reverted.error().message)};
}

// How long ago its slots changed is not known: as if all had changed now, so that none settles too early.
Result<Plan> Writer::ReadPlan() {
  auto plan = dataplane_.Read();
  if (!plan) return plan;
  for (auto& [key, vip] : plan->vips) vip.unsettled = UnsettledOf(*vip.ring, now_());
  return plan;
}

Status Writer::ReadBack() {
  auto read = ReadPlan();
  if (!read) return std::unexpected(read.error());
  Snapshot next = *current_;
  next.plan.vips = std::move(read->vips);
  ++next.generation;
  Publish(std::move(next));
  return {};
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glog/logging.h>
#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "userspace/control/id_allocation.h"
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
// just being asked for its MAC. At the start every real is new, and running flows may depend on any of them.
constexpr milliseconds kPatience{200};
constexpr milliseconds kFirstPatience{1000};
constexpr size_t kShownLines = 10;

std::set<IpAddress> RealsOf(const DesiredState& state) {
  std::set<IpAddress> reals;
  for (const auto& [key, vip] : state.vips) {
    for (const auto& [address, real] : vip.reals) reals.insert(address);
  }
  return reals;
}

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

std::vector<std::string> UnresolvedReals(const DesiredState& state, const NextHopTable& next_hops) {
  std::vector<std::string> lines;
  size_t unresolved = 0;
  for (const IpAddress& real : RealsOf(state)) {
    const auto found = next_hops.find(real);
    if (found == next_hops.end() || found->second.next_hop || ++unresolved > kShownLines) continue;
    lines.push_back(fmt::format("real {} gets no packets yet: {}", real.ToString(), found->second.problem));
  }
  if (unresolved > kShownLines) lines.push_back(fmt::format("and {} more", unresolved - kShownLines));
  return lines;
}

void AddMovedFlows(const Plan& before, const Plan& after, std::vector<std::string>& warnings) {
  const std::vector<std::string> moved = MovedFlows(before, after);
  const size_t shown = std::min(moved.size(), kShownLines);
  warnings.insert(warnings.end(), moved.begin(), moved.begin() + static_cast<std::ptrdiff_t>(shown));
  if (moved.size() > shown) warnings.push_back(fmt::format("and {} more", moved.size() - shown));
}

void LogNextHops(const NextHopTable& before, const NextHopTable& after) {
  size_t changed = 0;
  for (const auto& [real, state] : after) {
    const auto old = before.find(real);
    if ((old != before.end() && old->second == state) || ++changed > kShownLines) continue;
    if (state.next_hop) {
      LOG(INFO) << "next hop of real " << real.ToString() << ": " << state.next_hop->gateway_mac.ToString()
                << " by interface " << state.next_hop->interface_index;
    } else {
      LOG(WARNING) << "next hop of real " << real.ToString() << ": " << state.problem;
    }
  }
  if (changed > kShownLines) LOG(INFO) << "next hops of " << changed - kShownLines << " more reals changed";
}

Result<HashKey> MakeHashKey() {
  HashKey key{};
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    return FailErrno("making a hash key", errno);
  }
  return key;
}

Status Save(const std::string& path, const DesiredState& state) {
  auto prepared = StoreWrite::Prepare(path, state);
  if (!prepared) return std::unexpected(prepared.error());
  return prepared->Commit();
}

Status Check(const DesiredState& wanted, const Capacities& capacities) {
  const auto problems = Validate(wanted, capacities);
  if (problems.empty()) return {};
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.ToString());
  return Fail(ErrorKind::kInvalid, fmt::format("{}", fmt::join(lines, "\n")));
}

}  // namespace

Writer::Writer(std::string store_path, Dataplane& dataplane, NextHopSource& next_hops, Clock now)
    : store_path_(std::move(store_path)),
      dataplane_(dataplane),
      next_hops_(next_hops),
      now_(std::move(now)),
      sweeper_(dataplane),
      meter_(dataplane),
      measure_at_(now_() + ActivityMeter::kInterval),
      current_(std::make_shared<const Snapshot>()) {}

std::shared_ptr<const Snapshot> Writer::snapshot() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void Writer::Publish(Snapshot next) {
  all_resolved_ =
      std::ranges::all_of(next.next_hops, [](const auto& entry) { return entry.second.next_hop.has_value(); });
  next.observed = std::make_shared<const Observation>(
      Observation{.slots = sweeper_.Progress(next.desired, next.plan, now_()), .activity = activity_});
  auto published = std::make_shared<const Snapshot>(std::move(next));
  const std::lock_guard lock(mutex_);
  current_.swap(published);
}

Result<DesiredState> Writer::LoadOrCreateStore() {
  auto loaded = LoadFile(store_path_, dataplane_.capacities());
  if (!loaded && loaded.error().kind == ErrorKind::kNotFound) loaded = DesiredState{};
  if (!loaded || loaded->hash_key != HashKey{}) return loaded;
  const auto key = MakeHashKey();
  if (!key) return std::unexpected(key.error());
  loaded->hash_key = *key;
  if (auto saved = Save(store_path_, *loaded); !saved) return std::unexpected(saved.error());
  LOG(INFO) << store_path_ << ": made a hash key; every balancer of the same VIPs needs the same one";
  return loaded;
}

Status Writer::Adopt() {
  auto desired = LoadOrCreateStore();
  if (!desired) return std::unexpected(desired.error());
  const auto installed = ReadPlan();
  if (!installed) return std::unexpected(installed.error());
  auto next_hops = Resolve(*desired, kFirstPatience);
  if (!next_hops) return std::unexpected(next_hops.error());

  // What is not desired any more goes first: how long its ids have to rest is not known here, but once its flows are
  // forgotten nothing names them.
  Plan kept{.vips = installed->vips, .resting = {}};
  std::erase_if(kept.vips, [&](const auto& vip) { return !desired->vips.contains(vip.first); });
  auto plan = MakePlan(
      {.desired = *desired, .next_hops = *next_hops, .capacities = dataplane_.capacities(), .now = now_()}, kept);
  if (!plan) return std::unexpected(plan.error());
  Status written = Execute(OrderWrites(*installed, kept), kept, dataplane_);
  if (written) written = Execute(OrderWrites(kept, *plan), *plan, dataplane_);
  if (written) written = dataplane_.ForgetFlowsExcept(*plan);
  if (!written) {
    if (auto reverted = Revert(*plan, *installed, dataplane_); !reverted) {
      return Fail(written.error().kind, fmt::format("{}\nputting the data plane back: {}", written.error().message,
                                                    reverted.error().message));
    }
    return written;
  }
  follows_current_ = true;
  sweeper_.NotePlan(now_());
  LogNextHops({}, *next_hops);
  Publish({.desired = std::move(*desired), .plan = std::move(*plan), .next_hops = std::move(*next_hops)});
  return {};
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

Result<Plan> Writer::MakeNextPlan(const DesiredState& desired, const NextHopTable& next_hops) const {
  return MakePlan({.desired = desired,
                   .next_hops = next_hops,
                   .capacities = dataplane_.capacities(),
                   .now = now_(),
                   .made_from = plan_in_doubt_ ? nullptr : &current_->desired},
                  current_->plan);
}

Result<ChangeReport> Writer::Change(const EditFunction& edit, bool dry_run) {
  DesiredState wanted = current_->desired;
  if (auto edited = edit(wanted); !edited) return std::unexpected(edited.error());
  if (wanted.hash_key == HashKey{}) wanted.hash_key = current_->desired.hash_key;
  if (auto checked = Check(wanted, dataplane_.capacities()); !checked) return std::unexpected(checked.error());
  ChangeReport report{.changes = Diff(current_->desired, wanted), .warnings = {}};
  if (report.changes.empty()) return report;

  // Following other reals starts neighbour discovery, so a dry run makes do with what is known.
  auto next_hops = dry_run ? Result<NextHopTable>(current_->next_hops) : Resolve(wanted, kPatience);
  if (!next_hops) return std::unexpected(next_hops.error());
  report.warnings = UnresolvedReals(wanted, *next_hops);
  if (plan_in_doubt_ && !dry_run) {
    if (auto read = ReadBack(); !read) return std::unexpected(read.error());
  }
  auto plan = MakeNextPlan(wanted, *next_hops);
  if (!plan) return std::unexpected(plan.error());
  AddMovedFlows(current_->plan, *plan, report.warnings);
  if (dry_run) return report;

  auto store = StoreWrite::Prepare(store_path_, wanted);
  if (!store) return std::unexpected(store.error());
  if (auto written = Write(*plan); !written) return std::unexpected(written.error());
  if (auto committed = store->Commit(); !committed) {
    const Error error = Undo(committed.error(), *plan);
    // The store may be replaced and only its folder unsynced. If it was not, this fails as well and changes nothing.
    static_cast<void>(Save(store_path_, current_->desired));
    return std::unexpected(error);
  }
  follows_current_ = true;
  plan_in_doubt_ = false;
  Publish({.desired = std::move(wanted), .plan = std::move(*plan), .next_hops = std::move(*next_hops)});
  LOG(INFO) << "applied a change of " << report.changes.size() << (report.changes.size() == 1 ? " line" : " lines");
  return report;
}

Status Writer::Refresh() {
  auto next_hops = next_hops_.Resolve(RealsOf(current_->desired));
  if (!next_hops) return std::unexpected(next_hops.error());
  follows_current_ = true;
  if (*next_hops == current_->next_hops && !plan_in_doubt_) return {};
  if (plan_in_doubt_) {
    if (auto read = ReadBack(); !read) return read;
  }
  auto plan = MakeNextPlan(current_->desired, *next_hops);
  if (!plan) return std::unexpected(plan.error());
  if (auto written = Write(*plan); !written) return written;
  plan_in_doubt_ = false;
  LogNextHops(current_->next_hops, *next_hops);
  Publish({.desired = current_->desired, .plan = std::move(*plan), .next_hops = std::move(*next_hops)});
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
  Publish(std::move(next));
  return {};
}

SteadyTime Writer::due_at() const {
  if (plan_in_doubt_) return SteadyTime::max();  // until Refresh() has mended it
  return current_->plan.vips.empty() ? sweeper_.due_at() : std::min(sweeper_.due_at(), measure_at_);
}

Status Writer::Tend() {
  if (plan_in_doubt_) return {};
  const SteadyTime now = now_();
  Status swept;
  if (now >= sweeper_.due_at()) swept = Sweep(now);
  if (now < measure_at_) return swept;
  const Status measured = MeasureActivity(now);
  return swept ? measured : swept;
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

// SPDX-License-Identifier: Apache-2.0
// shunt-bench consistency: flows that are sent to another real while the first still serves, in scripted histories, by
// tracking. The program, the planner and the sweeper are the real ones; time is real, too, since the flow table tells
// it by the kernel's clock. All worlds live through the same seconds.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "tools/shunt-bench/options.h"
#include "tools/shunt-bench/world.h"
#include "userspace/base/text.h"

namespace shunt::bench {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{250};
constexpr double kChangeS = 2;
constexpr double kSecondChangeS = 5;  // while the first one's slots move
constexpr double kLateS = 9;          // after new flows were remembered on moving slots
constexpr uint32_t kEcmpBalancers = 4;
constexpr double kMostLateS = 0.5;  // later, and things happen in another order than the script has them
constexpr const char* kUnsettled = "moving: slots that did not settle";
constexpr const char* kLate = "how late the script ran";

void SetState(Vip& vip, uint16_t real, RealState state) { vip.reals.at(NumberedReal(real)).state = state; }
void Add(Vip& vip, uint16_t real) { vip.reals[NumberedReal(real)] = {}; }

std::vector<History> Histories() {
  const auto add_one = [](Vip& vip) { Add(vip, World::kReals + 1); };
  const auto drain_one = [](Vip& vip) { SetState(vip, 1, RealState::kDrain); };
  const auto weigh_one = [](Vip& vip) { vip.reals.at(NumberedReal(1)).weight = 3 * kDefaultWeight; };
  const auto remove_one = [](Vip& vip) { vip.reals.erase(NumberedReal(1)); };
  const auto bring_back = [](Vip& vip) { Add(vip, 1); };
  const auto drain_added = [](Vip& vip) { SetState(vip, World::kReals + 1, RealState::kDrain); };
  return {
      {.name = "a real is added", .changes = {{kChangeS, add_one}}},
      {.name = "a real is added, UDP", .changes = {{kChangeS, add_one}}, .protocol = Protocol::kUdp},
      {.name = "a real is drained", .changes = {{kChangeS, drain_one}}},
      {.name = "a real's weight is tripled", .changes = {{kChangeS, weigh_one}}},
      {.name = "a real is killed, and back", .changes = {{kChangeS, remove_one}, {kSecondChangeS, bring_back}}},
      {.name = "a real is added, another drained", .changes = {{kChangeS, add_one}, {kSecondChangeS, drain_one}}},
      {.name = "a real is added, and drained again", .changes = {{kChangeS, add_one}, {kLateS, drain_added}}},
      {.name = "a real is added under a SYN flood", .changes = {{kChangeS, add_one}}, .flood = true},
      {.name = "1 of 4 balancers leaves",
       .changes = {{.at_s = kChangeS, .balancer_leaves = true}},
       .balancers = kEcmpBalancers},
      {.name = "1 of 4 balancers leaves, a real is added",
       .changes = {{kChangeS, add_one, true}},
       .balancers = kEcmpBalancers},
      {.name = "1 of 4 balancers leaves while slots move",
       .changes = {{kChangeS, add_one}, {.at_s = kLateS, .balancer_leaves = true}},
       .balancers = kEcmpBalancers},
  };
}

struct TrackingName {
  Tracking tracking;
  const char* name;
};
constexpr TrackingName kTrackings[] = {
    {Tracking::kMoving, "moving"}, {Tracking::kAll, "all"}, {Tracking::kNone, "none"}};

struct Plot {
  std::string name;
  History history;
  Tracking tracking = Tracking::kMoving;
};

std::vector<Plot> PlotsOf(const Options& options) {
  std::vector<Plot> plots;
  for (const TrackingName& tracking : kTrackings) {
    for (const History& history : Histories()) {
      std::string name = fmt::format("{}: {}", tracking.name, history.name);
      if (name.contains(options.only)) plots.push_back({std::move(name), history, tracking.tracking});
    }
  }
  return plots;
}

// A flow whose balancer is gone has its memory there: flows of slots that move just then cannot all be kept.
bool MustKeepAll(const Plot& plot) {
  return plot.tracking == Tracking::kMoving && std::ranges::none_of(plot.history.changes, [](const Change& change) {
           return change.balancer_leaves && change.at_s == kLateS;
         });
}

std::vector<Row> EmptyRows(const std::vector<Plot>& plots) {
  std::vector<Row> rows;
  for (const Plot& plot : plots) {
    Row& row = rows.emplace_back(Row{.name = plot.name});
    if (MustKeepAll(plot)) row.target = Target{Target::Bound::kAtMost, 0};
  }
  rows.push_back({.name = kUnsettled, .unit = "slots", .target = Target{Target::Bound::kAtMost, 0}});
  rows.push_back({.name = kLate, .unit = "s", .target = Target{Target::Bound::kAtMost, kMostLateS}});
  return rows;
}

struct Outcome {
  uint64_t broken = 0;
  uint64_t slots_moving = 0;
  double late_s = 0;  // the latest that a step began
};

// One world, life after life, on a thread of its own: it often waits for the kernel.
class Life {
 public:
  Life(std::unique_ptr<World> world, uint32_t rounds)
      : world_(std::move(world)), thread_([this, rounds] {
          for (uint32_t round = 0; round < rounds && status_; ++round) status_ = LiveOnce(round);
          ended_ = true;
        }) {}
  bool ended() const { return ended_; }
  Status Join() {
    thread_.join();
    return status_;
  }
  const std::vector<Outcome>& outcomes() const { return outcomes_; }

 private:
  Status LiveOnce(uint32_t round) {
    if (auto begun = world_->Begin(static_cast<uint8_t>(round + 1)); !begun) return begun;
    double late_s = 0;
    const auto begun_at = steady_clock::now();
    for (auto tick = begun_at;; tick += kTick) {
      std::this_thread::sleep_until(tick);
      const auto now = steady_clock::now();
      const double now_s = std::chrono::duration<double>(now - begun_at).count();
      late_s = std::max(late_s, std::chrono::duration<double>(now - tick).count());
      if (now_s > World::kEndS) break;
      if (auto stepped = world_->Step(now_s); !stepped) return stepped;
    }
    outcomes_.push_back({world_->broken(), world_->slots_moving(), late_s});
    return {};
  }

  std::unique_ptr<World> world_;
  std::vector<Outcome> outcomes_;
  Status status_;
  std::atomic<bool> ended_ = false;
  std::jthread thread_;
};

Result<std::vector<std::unique_ptr<World>>> MakeWorlds(const std::vector<Plot>& plots, Wrapper& wrapper,
                                                       const Progress& progress) {
  std::vector<std::unique_ptr<World>> worlds;
  for (const Plot& plot : plots) {
    progress.Show(fmt::format("making world {} of {}", worlds.size() + 1, plots.size()));
    auto world = World::Make(plot.history, plot.tracking, wrapper);
    if (!world) return std::unexpected(world.error());
    worlds.push_back(std::move(*world));
  }
  return worlds;
}

void AddOutcomes(const std::vector<Plot>& plots, const std::vector<std::unique_ptr<Life>>& lives, uint32_t rounds,
                 std::vector<Row>& rows) {
  std::vector<double>& unsettled = rows[lives.size()].samples;
  std::vector<double>& late_s = rows[lives.size() + 1].samples;
  unsettled.assign(rounds, 0);
  late_s.assign(rounds, 0);
  for (size_t i = 0; i < lives.size(); ++i) {
    rows[i].unit = fmt::format("of {} flows", World::kFlows);
    for (uint32_t round = 0; round < rounds; ++round) {
      const Outcome& outcome = lives[i]->outcomes()[round];
      rows[i].samples.push_back(static_cast<double>(outcome.broken));
      late_s[round] = std::max(late_s[round], outcome.late_s);
      if (plots[i].tracking == Tracking::kMoving) unsettled[round] += static_cast<double>(outcome.slots_moving);
    }
  }
}

}  // namespace

Result<Report> MeasureConsistency(const Options& options) {
  const std::vector<Plot> plots = PlotsOf(options);
  if (plots.empty())
    return Fail(ErrorKind::kInvalid, fmt::format("--only {}: no history has that name", Quote(options.only)));
  const Progress progress;
  auto wrapper = Wrapper::Open(World::kFlows);
  if (!wrapper) return std::unexpected(wrapper.error());
  auto worlds = MakeWorlds(plots, *wrapper, progress);
  if (!worlds) return std::unexpected(worlds.error());
  const auto begun = steady_clock::now();
  std::vector<std::unique_ptr<Life>> lives;
  for (auto& world : *worlds) lives.push_back(std::make_unique<Life>(std::move(world), options.rounds));
  while (!std::ranges::all_of(lives, &Life::ended)) {
    std::this_thread::sleep_for(kTick);
    const std::chrono::duration<double> passed = steady_clock::now() - begun;
    progress.Show(fmt::format("second {:.0f} of {:.0f}", passed.count(), World::kEndS * options.rounds));
  }
  for (const auto& life : lives) {
    if (auto lived = life->Join(); !lived) return std::unexpected(lived.error());
  }
  Report report{.verb = "consistency", .machine = options.machine, .rows = EmptyRows(plots)};
  AddOutcomes(plots, lives, options.rounds, report.rows);
  return report;
}

}  // namespace shunt::bench

// SPDX-License-Identifier: Apache-2.0
// shunt-bench consistency: flows that are sent to another real while the first still serves, in scripted histories, by
// tracking. The program, the planner and the sweeper are the real ones; time is real, too, since the flow table tells
// it by the kernel's clock. All worlds live through the same seconds.
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "tools/shunt-bench/options.h"
#include "tools/shunt-bench/world.h"

namespace shunt::bench {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{250};
constexpr double kChangeS = 2;
constexpr double kSecondChangeS = 5;  // while the first one's slots move
constexpr double kLateS = 9;          // after new flows were remembered on moving slots
constexpr uint32_t kEcmpBalancers = 4;

void SetState(Vip& vip, uint16_t real, RealState state) { vip.reals.at(NumberedReal(real)).state = state; }
void Add(Vip& vip, uint16_t real) { vip.reals[NumberedReal(real)] = {}; }

std::vector<History> Histories() {
  const auto add_one = [](Vip& vip) { Add(vip, World::kReals + 1); };
  const auto drain_one = [](Vip& vip) { SetState(vip, 1, RealState::kDrain); };
  const auto weigh_one = [](Vip& vip) { vip.reals.at(NumberedReal(1)).weight = 3 * kDefaultWeight; };
  const auto remove_one = [](Vip& vip) { vip.reals.erase(NumberedReal(1)); };
  const auto bring_back = [](Vip& vip) { Add(vip, 1); };
  return {
      {.name = "a real is added", .changes = {{kChangeS, add_one}}},
      {.name = "a real is added, UDP", .changes = {{kChangeS, add_one}}, .protocol = Protocol::kUdp},
      {.name = "a real is drained", .changes = {{kChangeS, drain_one}}},
      {.name = "a real's weight is tripled", .changes = {{kChangeS, weigh_one}}},
      {.name = "a real is killed, and back", .changes = {{kChangeS, remove_one}, {kSecondChangeS, bring_back}}},
      {.name = "a real is added, another drained", .changes = {{kChangeS, add_one}, {kSecondChangeS, drain_one}}},
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
  return plot.tracking == Tracking::kMoving &&
         std::ranges::none_of(plot.history.changes, [](const Change& change) { return change.at_s == kLateS; });
}

std::vector<Row> EmptyRows(const std::vector<Plot>& plots) {
  std::vector<Row> rows;
  for (const Plot& plot : plots) {
    Row& row = rows.emplace_back(Row{.name = plot.name});
    if (MustKeepAll(plot)) row.target = Target{Target::Bound::kAtMost, 0};
  }
  rows.push_back({.name = "moving: slots that did not settle", .unit = "slots"});
  rows.back().target = Target{Target::Bound::kAtMost, 0};
  return rows;
}

// All worlds, from the first flows to the end.
Status Live(std::vector<std::unique_ptr<World>>& worlds, const std::string& title, Progress& progress) {
  const auto begun = steady_clock::now();
  for (auto tick = begun;; tick += kTick) {
    std::this_thread::sleep_until(tick);
    const double now_s = std::chrono::duration<double>(steady_clock::now() - begun).count();
    if (now_s > World::kEndS) return {};
    progress.Show(fmt::format("{}: second {:.0f} of {:.0f}", title, now_s, World::kEndS));
    for (const auto& world : worlds) {
      if (auto stepped = world->Step(now_s); !stepped) return stepped;
    }
  }
}

}  // namespace

Result<Report> MeasureConsistency(const Options& options) {
  const std::vector<Plot> plots = PlotsOf(options);
  if (plots.empty())
    return Fail(ErrorKind::kInvalid, fmt::format("no history has \"{}\" in its name (--only)", options.only));
  Progress progress;
  std::vector<std::unique_ptr<World>> worlds;
  for (const Plot& plot : plots) {
    progress.Show(fmt::format("making world {} of {}", worlds.size() + 1, plots.size()));
    auto world = World::Make(plot.history, plot.tracking);
    if (!world) return std::unexpected(world.error());
    worlds.push_back(std::move(*world));
  }
  Report report{.verb = "consistency", .machine = ThisMachine(), .rows = EmptyRows(plots)};
  for (uint32_t round = 0; round < options.rounds; ++round) {
    for (const auto& world : worlds) {
      if (auto begun = world->Begin(static_cast<uint8_t>(round + 1)); !begun) return std::unexpected(begun.error());
    }
    if (auto lived = Live(worlds, fmt::format("round {} of {}", round + 1, options.rounds), progress); !lived) {
      return std::unexpected(lived.error());
    }
    uint64_t slots_moving = 0;
    for (size_t i = 0; i < worlds.size(); ++i) {
      report.rows[i].unit = fmt::format("of {} flows", worlds[i]->flows());
      report.rows[i].samples.push_back(static_cast<double>(worlds[i]->broken()));
      if (plots[i].tracking == Tracking::kMoving) slots_moving += worlds[i]->slots_moving();
    }
    report.rows.back().samples.push_back(static_cast<double>(slots_moving));
  }
  return report;
}

}  // namespace shunt::bench

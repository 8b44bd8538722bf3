// SPDX-License-Identifier: Apache-2.0
// For the tests of the controller and the writer: one on a store in a folder of its own and a data plane that fails on
// command.
#pragma once

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/unit/control_testing.h"
#include "userspace/control/controller.h"
#include "userspace/control/event_log.h"
#include "userspace/control/writer.h"
#include "userspace/model/store_file.h"

namespace shunt::testing {

inline constexpr Capacities kFewCapacities{.max_vips = 8, .max_reals = 64, .max_flows = 64};
inline const VipKey kVip = Key("203.0.113.10:443/tcp");
inline const VipKey kOther = Key("203.0.113.11:53/udp");
inline const IpAddress kReal = Address("10.0.0.11");

class Folder {
 public:
  Folder() { path_ = mkdtemp(path_.data()); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string store() const { return path_ + "/shunt.yaml"; }
  size_t files() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {})); }

 private:
  std::string path_ = "/tmp/shunt-controller-test.XXXXXX";
};

inline std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteText(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

struct Bench {
  explicit Bench(const Capacities& capacities = kFewCapacities) : dataplane(capacities) { LogNothing(); }

  void Start() {
    auto started = Controller::Start(folder.store(), dataplane, next_hops);
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
    controller = std::move(*started);
  }

  ChangeReport Apply(const DesiredState& wanted) {
    const auto report = controller->Apply(wanted, false);
    INFO((report ? "" : report.error().message));
    REQUIRE(report);
    return *report;
  }

  DesiredState Stored() const { return LoadFile(folder.store(), dataplane.capacities()).value(); }

  // Store, data plane and snapshot say the same, except for moments in which slots settle.
  void CheckConsistent() {
    CHECK(Stored() == controller->snapshot()->desired);
    CHECK(Eventually([&] { return Difference(dataplane.Read().value(), controller->snapshot()->plan).empty(); }));
    CHECK(dataplane.violations() == std::vector<std::string>());
    CHECK(folder.files() == 2);  // the store and its history
  }

  Folder folder;
  WatchedDataplane dataplane;
  FakeNextHops next_hops;
  std::unique_ptr<Controller> controller;
};

// The writer alone, on a clock of the test's own.
struct TimedWriter {
  TimedWriter() { REQUIRE(writer.Adopt()); }

  ChangeReport Apply(const DesiredState& wanted, bool dry_run = false) {
    const auto report = writer.Change(
        [&](DesiredState& state) -> Status {
          state = wanted;
          return {};
        },
        dry_run);
    REQUIRE(report);
    return *report;
  }
  void RunFor(std::chrono::milliseconds time) {
    for (const SteadyTime end = now + time; now < end; now += std::chrono::milliseconds(50)) TendIfDue();
  }
  void TendIfDue() {
    if (now >= writer.due_at()) REQUIRE(writer.Tend());
  }
  void Judge(const IpAddress& real, Health health, const VipKey& vip = kVip) {
    writer.NoteHealth({{.vip = vip, .real = real, .health = health, .cause = "the test says so"}});
  }
  const PlannedVip& planned(const VipKey& vip = kVip) const { return writer.snapshot()->plan.vips.at(vip); }
  SlotProgress progress() const { return writer.snapshot()->observed->slots.at(kVip); }
  std::string difference() { return Difference(bench.dataplane.Read().value(), writer.snapshot()->plan); }
  std::vector<std::string> EventKinds() const {
    std::vector<std::string> kinds;
    for (const Event& event : events.Since(0, SIZE_MAX)) kinds.push_back(event.kind);
    return kinds;
  }

  Bench bench;
  SteadyTime now = SteadyTime() + std::chrono::seconds(1000);
  EventLog events;
  Writer writer{bench.folder.store(), bench.dataplane, bench.next_hops, events, [this] { return now; }};
};

inline DesiredState Two() {
  DesiredState state = SmallState();
  state.vips[kVip].reals[kReal] = {};
  state.vips[kVip].reals[Address("10.0.0.12")] = {};
  state.vips[kOther].reals[kReal] = {};
  return state;
}

// From Two(): a VIP goes, one comes, one grows and gets another ring size.
inline DesiredState Changed() {
  DesiredState state = Two();
  state.vips.erase(kOther);
  state.vips[Key("203.0.113.12:80/tcp")].reals[Address("2001:db8:7::9")] = {};
  state.vips[kVip].ring_size = 17;
  for (const auto* real : {"10.0.0.13", "10.0.0.14"}) state.vips[kVip].reals[Address(real)] = {};
  return state;
}

inline Status AddReal(DesiredState& state, const VipKey& key, const std::string& address) {
  state.vips[key].reals[Address(address)] = {};
  return {};
}

}  // namespace shunt::testing

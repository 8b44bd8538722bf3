// SPDX-License-Identifier: Apache-2.0
// The state of the host as a whole: in the store, in force, published and told.
#include <catch2/catch.hpp>

#include "tests/unit/controller_testing.h"
#include "userspace/metrics/families.h"
#include "userspace/model/diff.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

constexpr Capacities kAny{.max_vips = 100, .max_reals = 1000, .max_flows = 100};

Status Drain(DesiredState& state) {
  state.host = HostState::kDrain;
  return {};
}
Status Undrain(DesiredState& state) {
  state.host = HostState::kServe;
  return {};
}

std::vector<std::string> KindsOf(EventLog& events) {
  std::vector<std::string> kinds;
  for (const Event& event : events.Since(0, SIZE_MAX)) kinds.push_back(event.kind);
  return kinds;
}

using Kinds = std::vector<std::string>;

}  // namespace

TEST_CASE("A host that drains stands so in the store, one that serves is not mentioned") {
  DesiredState state = SmallState();
  CHECK(ToYaml(state).find("host") == std::string::npos);
  state.host = HostState::kDrain;
  CHECK(ToYaml(state).find("host: { state: drain }\n") != std::string::npos);
  CHECK(ParseYaml(ToYaml(state), "lb.yaml", kAny).value() == state);
  CHECK(Diff(SmallState(), state) == std::vector<std::string>{"~ host: state serve -> drain"});
  const auto refused = ParseYaml("host: { state: draining }\nvips: []\n", "lb.yaml", kAny);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "lb.yaml:1: host.state: expected serve or drain, found \"draining\"");
}

TEST_CASE("A drained host is published and told, and outlives a restart; nothing else of the balancer changes") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const Plan before = bench.dataplane.Read().value();
  CHECK(bench.controller->snapshot()->host == HostPhase::kServing);
  const auto report = bench.controller->Edit(Drain);
  REQUIRE(report);
  CHECK(report->changes == std::vector<std::string>{"~ host: state serve -> drain"});
  CHECK(bench.controller->snapshot()->host == HostPhase::kDraining);
  CHECK(KindsOf(bench.controller->events()) == Kinds{"host_draining"});
  CHECK(bench.controller->Edit(Drain)->changes.empty());
  CHECK(Difference(bench.dataplane.Read().value(), before).empty());
  bench.CheckConsistent();

  bench.controller.reset();
  bench.Start();
  CHECK(bench.controller->snapshot()->host == HostPhase::kDraining);
  CHECK(KindsOf(bench.controller->events()).empty());
  bench.controller->Ready();
  CHECK(KindsOf(bench.controller->events()) == Kinds{"host_draining"});
  REQUIRE(bench.controller->Edit(Undrain));
  CHECK(bench.controller->snapshot()->host == HostPhase::kServing);
  CHECK(KindsOf(bench.controller->events()) == Kinds{"host_draining", "host_serving"});
  bench.CheckConsistent();
}

TEST_CASE("What is applied leaves the host as it is unless it says otherwise") {
  Bench bench;
  bench.Start();
  REQUIRE(bench.controller->Edit(Drain));
  bench.Apply(Two());
  CHECK(bench.controller->snapshot()->host == HostPhase::kDraining);
  CHECK(bench.Stored().host == HostState::kDrain);
  DesiredState serving = Two();
  serving.host = HostState::kServe;
  CHECK(bench.Apply(serving).changes == std::vector<std::string>{"~ host: state drain -> serve"});
  CHECK(bench.Apply(serving).changes.empty());
  bench.CheckConsistent();
}

TEST_CASE("A store that was edited by hand counts at the start") {
  Bench bench;
  WriteText(bench.folder.store(),
            "hash_key: \"0x00112233445566778899aabbccddeeff\"\nhost: { state: serve }\nvips: []\n");
  bench.Start();
  CHECK(bench.controller->snapshot()->host == HostPhase::kServing);
  CHECK_FALSE(bench.controller->snapshot()->desired.host);
}

TEST_CASE("A host that leaves says so once, and goes on doing so whatever an operator changes") {
  Bench bench;
  bench.Start();
  bench.controller->Ready();
  bench.controller->Leave();
  bench.controller->Leave();
  CHECK(bench.controller->snapshot()->host == HostPhase::kLeaving);
  REQUIRE(bench.controller->Edit(Drain));
  REQUIRE(bench.controller->Edit(Undrain));
  CHECK(bench.controller->snapshot()->host == HostPhase::kLeaving);
  CHECK(KindsOf(bench.controller->events()) == Kinds{"host_serving", "host_leaving"});
  bench.Apply(Two());
  CHECK(bench.controller->snapshot()->host == HostPhase::kLeaving);
}

TEST_CASE("A drain that the store cannot keep is refused, and nobody is told of it") {
  Bench bench;
  bench.Start();
  std::filesystem::remove_all(std::filesystem::path(bench.folder.store()).parent_path());
  REQUIRE_FALSE(bench.controller->Edit(Drain));
  CHECK(bench.controller->snapshot()->host == HostPhase::kServing);
  CHECK(KindsOf(bench.controller->events()).empty());
}

TEST_CASE("Metrics tell the host's state and its interfaces") {
  Snapshot snapshot;
  snapshot.host = HostPhase::kDraining;
  const auto families =
      HostFamilies(snapshot, {{.name = "eth0", .index = 2, .attached = true, .native = false, .problem = ""},
                              {.name = "eth1", .index = 0, .attached = false, .native = false, .problem = "gone"}});
  std::map<std::string, double> values;
  for (const auto& family : families) {
    for (const auto& metric : family.metric)
      values[family.name + " " + metric.label.front().value] = metric.gauge.value;
  }
  CHECK(values == std::map<std::string, double>{{"shunt_host_state serving", 0},
                                                {"shunt_host_state draining", 1},
                                                {"shunt_host_state leaving", 0},
                                                {"shunt_interface_attached eth0", 1},
                                                {"shunt_interface_attached eth1", 0},
                                                {"shunt_interface_native eth0", 0}});
}

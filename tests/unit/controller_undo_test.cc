// SPDX-License-Identifier: Apache-2.0
// The controller when the data plane or the store fails in the middle of a change.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tests/unit/control_testing.h"
#include "tests/unit/controller_testing.h"
#include "userspace/control/controller.h"
#include "userspace/control/task_queue.h"
#include "userspace/model/store_file.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

TEST_CASE("Wherever the data plane fails, a change leaves no trace and can be made again") {
  size_t writes = 0;
  {
    Bench bench;
    bench.Start();
    bench.Apply(Two());
    bench.dataplane.FailNone();
    bench.Apply(Changed());
    writes = bench.dataplane.writes();
  }
  REQUIRE(writes == 8);
  for (size_t k = 1; k <= writes; ++k) {
    CAPTURE(k);
    Bench bench;
    bench.Start();
    bench.Apply(Two());
    const std::string store = TextOf(bench.folder.store());
    const Plan plan = bench.controller->snapshot()->plan;
    bench.dataplane.FailWrite(k);
    const auto report = bench.controller->Apply(Changed(), false);
    REQUIRE_FALSE(report);
    CHECK_THAT(report.error().message, Catch::Contains(fmt::format("write {} was made to fail", k)));
    CHECK_THAT(report.error().message, Catch::Contains("put back as it was"));
    CHECK(TextOf(bench.folder.store()) == store);
    CHECK(Difference(bench.dataplane.Read().value(), plan) == "");
    bench.CheckConsistent();
    bench.Apply(Changed());
    bench.CheckConsistent();
  }
}

TEST_CASE("An undo that fails too is said, and mended without being asked") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.dataplane.FailWrites(7, SIZE_MAX);
  const auto report = bench.controller->Apply(Changed(), false);
  REQUIRE_FALSE(report);
  CHECK_THAT(report.error().message, Catch::Contains("write 7 ") && Catch::Contains("failed too"));
  CHECK(bench.Stored() == Two());
  bench.dataplane.FailNone();
  CHECK(Eventually([&] {
    const auto snapshot = bench.controller->snapshot();
    return bench.dataplane.writes() > 0 && snapshot->plan.vips.size() == 2 &&
           Difference(bench.dataplane.Read().value(), snapshot->plan).empty();
  }));
  bench.CheckConsistent();
}

TEST_CASE("After an undo that failed too, the next change starts from what the data plane really holds") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.dataplane.FailWrites(7, SIZE_MAX);
  REQUIRE_FALSE(bench.controller->Apply(Changed(), false));
  bench.dataplane.FailNone();
  DesiredState other = Two();
  other.vips[kOther].reals.clear();
  bench.Apply(other);
  bench.CheckConsistent();
}

TEST_CASE("A store that cannot be written keeps the data plane from being touched") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  std::filesystem::remove(bench.folder.store());
  std::filesystem::create_directory(bench.folder.store());
  bench.dataplane.FailNone();
  const auto report = bench.controller->Apply(Changed(), false);
  REQUIRE_FALSE(report);
  CHECK_THAT(report.error().message, Catch::Contains(bench.folder.store()));
  CHECK(bench.dataplane.writes() == 0);
  CHECK(bench.controller->snapshot()->desired == Two());
}

TEST_CASE("A store that cannot be replaced in the end takes the data plane back") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const Plan plan = bench.controller->snapshot()->plan;
  // Between the first write and the commit a folder takes the store's place.
  bench.dataplane.BeforeEachWrite([&] {
    std::filesystem::remove(bench.folder.store());
    std::filesystem::create_directory(bench.folder.store());
    WriteText(bench.folder.store() + "/in the way", "");
    bench.dataplane.BeforeEachWrite(nullptr);
  });
  const auto report = bench.controller->Apply(Changed(), false);
  REQUIRE_FALSE(report);
  CHECK_THAT(report.error().message, Catch::Contains(bench.folder.store()) && Catch::Contains("put back as it was"));
  CHECK(Difference(bench.dataplane.Read().value(), plan) == "");
  CHECK(bench.controller->snapshot()->desired == Two());
  CHECK(bench.folder.files() == 2);

  std::filesystem::remove_all(bench.folder.store());
  bench.Apply(Changed());
  bench.CheckConsistent();
}

TEST_CASE("A start that fails halfway leaves what was installed") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.controller.reset();
  const Plan plan = bench.dataplane.Read().value();
  WriteText(bench.folder.store(), ToYaml(Changed()));
  for (size_t k = 1;; ++k) {
    CAPTURE(k);
    bench.dataplane.FailWrite(k);
    auto started = Controller::Start(bench.folder.store(), bench.dataplane, bench.next_hops);
    if (started) {
      REQUIRE(k > 8);
      break;
    }
    REQUIRE(Difference(bench.dataplane.Read().value(), plan) == "");
  }
}

TEST_CASE("What a change that failed had been given rests before anything else gets it") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.dataplane.FailWrite(5);
  REQUIRE_FALSE(bench.controller->Apply(Changed(), false));
  bench.Apply(Changed());
  CHECK(bench.controller->snapshot()->plan.vips.at(Key("203.0.113.12:80/tcp")).entry.id == 4);
}

TEST_CASE("A closed queue runs what was posted before and takes no more") {
  const auto queue = TaskQueue::Create().value();
  int ran = 0;
  CHECK(queue->Post([&ran] { ++ran; }));
  queue->Close();
  CHECK_FALSE(queue->Post([&ran] { ran += 10; }));
  while (const TaskQueue::Task task = queue->Take()) task();
  CHECK(ran == 1);
}

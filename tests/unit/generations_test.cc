// SPDX-License-Identifier: Apache-2.0
// The generations of the store as the writer keeps them: every change one, what somebody edited or a crash left out
// found at the start, a history that cannot be written, the way back, and the store read again.
#include <fmt/format.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/unit/control_testing.h"
#include "tests/unit/controller_testing.h"
#include "userspace/control/controller.h"
#include "userspace/model/diff.h"
#include "userspace/model/store_history.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace fs = std::filesystem;

namespace {

std::string PathOf(const Bench& bench, uint64_t number) {
  return fmt::format("{}.history/{:08}.yaml", bench.folder.store(), number);
}

std::vector<uint64_t> NumbersOf(const Controller& controller) {
  std::vector<uint64_t> numbers;
  const auto generations = controller.ListGenerations().value();
  for (const Generation& generation : generations) numbers.push_back(generation.number);
  return numbers;
}

using Numbers = std::vector<uint64_t>;

uint64_t InForce(const Bench& bench) { return bench.controller->snapshot()->store->generation; }

// The newest generation that is kept is what the store says, and what is in force.
void CheckHistory(const Bench& bench) {
  const auto generations = bench.controller->ListGenerations().value();
  REQUIRE_FALSE(generations.empty());
  CHECK(generations.back().number == InForce(bench));
  CHECK(StoreHistory(bench.folder.store()).Load(InForce(bench)) == bench.Stored());
  CHECK(bench.Stored() == bench.controller->snapshot()->desired);
}

DesiredState OnlyKept() {
  DesiredState state = Two();
  state.vips.erase(kOther);
  return state;
}

}  // namespace

TEST_CASE("Every change is a generation, with who made it and what it changed") {
  Bench bench;
  bench.Start();
  CHECK(InForce(bench) == 1);
  const ChangeReport first = bench.Apply(Two());
  CHECK(first.generation == 2);
  REQUIRE(bench.controller->Edit([](DesiredState& state) { return AddReal(state, kVip, "10.0.0.13"); }, false,
                                 {.by = "real add (uid 7)"}));
  CHECK(bench.Apply(bench.controller->snapshot()->desired).generation == 3);  // no change, no generation
  REQUIRE(bench.controller->Apply(Changed(), true));
  const auto generations = bench.controller->ListGenerations().value();
  REQUIRE(generations.size() == 3);
  CHECK(generations[2].by == "real add (uid 7)");
  CHECK(generations[2].changes == 1);
  CHECK(generations[2].first_change == "+ real 203.0.113.10:443/tcp 10.0.0.13");
  CHECK(generations[1].changes == first.changes.size());
  CheckHistory(bench);
}

TEST_CASE("A restart makes no generation") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  for (int i = 0; i < 3; ++i) {
    bench.controller.reset();
    bench.Start();
    CHECK(InForce(bench) == 2);
    CHECK(NumbersOf(*bench.controller) == Numbers{1, 2});
  }
}

TEST_CASE("A store that was edited while shuntd was away becomes a generation at the start") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.controller.reset();
  WriteText(bench.folder.store(), ToYaml(Changed()));
  bench.Start();
  CHECK(InForce(bench) == 3);
  CheckHistory(bench);
  const Generation found = bench.controller->ListGenerations().value().back();
  CHECK_THAT(found.by, Catch::Contains("found at the start"));
  CHECK(found.changes == Diff(Two(), Changed()).size());
}

TEST_CASE("Other words for the same store are no generation") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.controller.reset();
  const std::string text = "# mine\n" + TextOf(bench.folder.store());
  WriteText(bench.folder.store(), text);
  bench.Start();
  CHECK(InForce(bench) == 2);
  CHECK(TextOf(bench.folder.store()) == text);
}

TEST_CASE("A crash between the store and its history is made good at the start") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.Apply(Changed());
  bench.controller.reset();
  fs::remove(PathOf(bench, 3));
  WriteText(fmt::format("{}.history/.00000003.yaml.aB3xYz", bench.folder.store()), "half a st");
  WriteText(fs::path(bench.folder.store()).parent_path().string() + "/.shunt.yaml.aB3xYz", "half a st");
  bench.Start();
  CHECK(InForce(bench) == 3);
  CheckHistory(bench);
  CHECK(bench.folder.files() == 2);
  CHECK_FALSE(fs::exists(fmt::format("{}.history/.00000003.yaml.aB3xYz", bench.folder.store())));
}

TEST_CASE("A newest generation that cannot be read is told from the store, and not overwritten") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.controller.reset();
  WriteText(PathOf(bench, 2), "garbage: [");
  bench.Start();
  CHECK(InForce(bench) == 3);
  CheckHistory(bench);
  CHECK(TextOf(PathOf(bench, 2)) == "garbage: [");
}

TEST_CASE("A history that cannot be written is a warning, the change is made, and the history is made good later") {
  Bench bench;
  bench.Start();
  const std::string folder = bench.folder.store() + ".history";
  fs::rename(folder, folder + ".away");
  WriteText(folder, "in the way");
  for (const DesiredState& state : {Two(), Changed()}) {
    const ChangeReport report = bench.Apply(state);
    REQUIRE_FALSE(report.warnings.empty());
    CHECK_THAT(report.warnings.back(), Catch::Contains("the change is made") && Catch::Contains(folder));
  }
  CHECK(bench.Stored() == Changed());
  fs::remove(folder);
  fs::rename(folder + ".away", folder);
  for (const std::string& warning : bench.Apply(Two()).warnings) CHECK_THAT(warning, !Catch::Contains(folder));
  CHECK(NumbersOf(*bench.controller) == Numbers{1, 2, 3, 4});
  CHECK(bench.controller->LoadGeneration(3) == Changed());
  CheckHistory(bench);
}

TEST_CASE("What the history lacks is written as time goes by, without a change") {
  TimedWriter timed;
  const std::string folder = timed.bench.folder.store() + ".history";
  fs::rename(folder, folder + ".away");
  WriteText(folder, "in the way");
  CHECK(timed.Apply(Two()).warnings.size() == 1);
  REQUIRE(timed.writer.snapshot()->store->unkept.size() == 1);
  fs::remove(folder);
  fs::rename(folder + ".away", folder);
  timed.RunFor(std::chrono::seconds(11));
  CHECK(timed.writer.snapshot()->store->unkept.empty());
  CHECK(timed.writer.history().Load(2) == Two());
}

TEST_CASE("Numbers grow beyond what others put into the folder") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  WriteText(PathOf(bench, 20), "rubbish");
  CHECK(bench.Apply(Changed()).generation == 21);
  CheckHistory(bench);
}

TEST_CASE("As many older generations are kept as are asked for, be it none, and never not the one in force") {
  for (const uint32_t kept : {0u, 2u}) {
    CAPTURE(kept);
    Bench bench;
    auto started = Controller::Start(bench.folder.store(), bench.dataplane, bench.next_hops, kept);
    REQUIRE(started);
    bench.controller = std::move(*started);
    for (int i = 0; i < 4; ++i) {
      bench.Apply(Two());
      bench.Apply(OnlyKept());
    }
    CHECK(NumbersOf(*bench.controller).size() == kept + 1);
    CheckHistory(bench);
  }
}

TEST_CASE("A rollback is a change to what an older generation says, and a generation of its own") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  bench.Apply(Changed());
  const auto dry = bench.controller->Rollback(2, true, {});
  REQUIRE(dry);
  CHECK(dry->changes == Diff(Changed(), Two()));
  CHECK(bench.Stored() == Changed());
  const auto report = bench.controller->Rollback(2, false, {.by = "rollback 2"});
  REQUIRE(report);
  CHECK(report->changes == dry->changes);
  CHECK(report->generation == 4);
  CHECK(bench.Stored() == Two());
  bench.CheckConsistent();
  CheckHistory(bench);
  CHECK(bench.controller->Rollback(4, false, {})->changes.empty());
  const auto none = bench.controller->Rollback(9, false, {});
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == ErrorKind::kNotFound);
}

TEST_CASE("A rollback to what today's tables do not hold is refused, and changes nothing") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  DesiredState large = Two();
  for (uint16_t port = 1; port <= 9; ++port) large.vips[VipKey{Address("203.0.113.99"), port, Protocol::kTcp}] = {};
  REQUIRE(StoreHistory(bench.folder.store()).Add({.number = 7}, large));
  const auto report = bench.controller->Rollback(7, false, {});
  REQUIRE_FALSE(report);
  CHECK(report.error().kind == ErrorKind::kInvalid);
  CHECK(bench.Stored() == Two());
}

TEST_CASE("A reload makes the differences that somebody edited into the store, and leaves the file alone") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const std::string edited = "# why: ask the web team\n" + ToYaml(Changed());
  WriteText(bench.folder.store(), edited);
  const auto report = bench.controller->Reload({.by = "reload"});
  REQUIRE(report);
  CHECK(report->changes == Diff(Two(), Changed()));
  CHECK(TextOf(bench.folder.store()) == edited);
  bench.CheckConsistent();
  CheckHistory(bench);
  CHECK(bench.controller->Reload({})->changes.empty());
  CHECK(InForce(bench) == 3);
  bench.Apply(Two());  // not taken for an edit of somebody else's
}

TEST_CASE("A reloaded store without a hash key gets the one in force, or the next start would make another") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  DesiredState keyless = Two();
  keyless.hash_key = {};
  WriteText(bench.folder.store(), ToYaml(keyless));
  REQUIRE(bench.controller->Reload({}));
  CHECK(bench.Stored() == Two());
  keyless.vips.erase(kOther);
  WriteText(bench.folder.store(), ToYaml(keyless));
  REQUIRE(bench.controller->Reload({}));
  CHECK(bench.Stored() == OnlyKept());
}

TEST_CASE("A store that cannot be reloaded is told with all its problems, and changes nothing") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  const std::string good = TextOf(bench.folder.store());
  const Plan plan = bench.controller->snapshot()->plan;
  const std::string path = bench.folder.store();
  const auto refused = [&](const std::string& said) {
    CAPTURE(said);
    const auto report = bench.controller->Reload({});
    REQUIRE_FALSE(report);
    CHECK_THAT(report.error().message, Catch::Contains(path) && Catch::Contains(said));
    CHECK(bench.controller->snapshot()->desired == Two());
    CHECK(Difference(bench.dataplane.Read().value(), plan) == "");
    CHECK(InForce(bench) == 2);
    fs::remove_all(path);
  };
  WriteText(path, "vips:\n  - vip: nonsense\n    colour: green\n");
  refused("nonsense");
  WriteText(path, "vips:\n  - vip: nonsense\n    colour: green\n");
  refused(":3: vips[0]: unknown key \"colour\"");
  WriteText(path, good.substr(0, good.size() / 2));
  refused(path + ":");
  WriteText(path, std::string("\0\1\2\xff\xfe", 5));
  refused(path);
  WriteText(path, "");
  refused("empty");
  refused("no such file");
  fs::create_directory(path);
  refused("a folder; expected a file");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  refused("a pipe, socket or device");
  WriteText(path, "");
  fs::resize_file(path, uintmax_t{1} << 40);
  refused("too large");
  WriteText(path, good);
  CHECK(bench.controller->Reload({})->changes.empty());
  bench.CheckConsistent();
}

TEST_CASE("A reload that fails in the middle is taken back, and the edit stays for another one") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  WriteText(bench.folder.store(), ToYaml(Changed()));
  bench.dataplane.FailWrite(5);
  const auto report = bench.controller->Reload({});
  REQUIRE_FALSE(report);
  CHECK_THAT(report.error().message, Catch::Contains("put back as it was"));
  CHECK(bench.Stored() == Changed());
  CHECK(bench.controller->snapshot()->desired == Two());
  REQUIRE(bench.controller->Reload({}));
  bench.CheckConsistent();
}

TEST_CASE("A change does not undo what somebody edited: it is refused until the edit is taken over") {
  Bench bench;
  bench.Start();
  bench.Apply(Two());
  WriteText(bench.folder.store(), ToYaml(OnlyKept()));
  bench.dataplane.FailNone();
  const auto report = bench.controller->Apply(Changed(), false);
  REQUIRE_FALSE(report);
  CHECK(report.error().kind == ErrorKind::kExists);
  CHECK_THAT(report.error().message, Catch::Contains("shuntctl reload"));
  CHECK(bench.dataplane.writes() == 0);
  CHECK(bench.Stored() == OnlyKept());
  CHECK(bench.controller->Apply(Changed(), true)->changes == Diff(Two(), Changed()));
  REQUIRE(bench.controller->Reload({}));
  bench.Apply(Changed());
  bench.CheckConsistent();
}

TEST_CASE("Changes that come at once are made one after another: none is lost, and each is a generation") {
  Bench bench({.max_vips = 8, .max_reals = 1024, .max_flows = 64});
  bench.Start();
  DesiredState wide = Two();
  wide.vips[kVip].ring_size = 1009;
  bench.Apply(wide);
  constexpr int kThreads = 8;
  constexpr int kEach = 8;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&bench, thread] {
      for (int i = 0; i < kEach; ++i) {
        const std::string real = fmt::format("10.1.{}.{}", thread, i);
        if (!bench.controller->Edit([&](DesiredState& state) { return AddReal(state, kVip, real); })) std::abort();
        if (i % 2 == 1) continue;
        const auto remove = [&](DesiredState& state) -> Status {
          state.vips.at(kVip).reals.erase(Address(real));
          return {};
        };
        if (!bench.controller->Edit(remove)) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(bench.Stored().vips.at(kVip).reals.size() == 2 + kThreads * kEach / 2);
  CHECK(InForce(bench) == 2 + kThreads * kEach * 3 / 2);
  bench.CheckConsistent();
  CheckHistory(bench);
}

// SPDX-License-Identifier: Apache-2.0
// What is done about links that go, come, and lose the program: the keeper on a clock and a kernel of the test's own.
#include "userspace/control/interface_keeper.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/unit/control_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint32_t kOurs = 7;      // ids of programs
constexpr uint32_t kStranger = 9;  // somebody else's

struct KeeperBench {
  KeeperBench() { LogNothing(); }

  Result<std::vector<std::optional<LinkProgram>>> LookUp(std::span<const std::string> names) {
    if (kernel_fails) return Fail(ErrorKind::kSystem, "reading rtnetlink replies: it is broken");
    std::vector<std::optional<LinkProgram>> found;
    for (const std::string& name : names) {
      const auto link = links.find(name);
      found.push_back(link == links.end() ? std::nullopt : std::optional(link->second));
    }
    return found;
  }

  Result<InterfaceKeeper::Attached> Attach(const std::string& name) {
    ++attempts;
    LinkProgram& link = links.at(name);
    if (link.program_id == kStranger) return Fail(ErrorKind::kExists, "attaching to " + name + ": a stranger's");
    const bool was_there = link.program_id == ours;
    link.program_id = ours;
    return InterfaceKeeper::Attached{.native = true, .was_there = was_there};
  }

  // Everything that is due in this time; returns what was told, as "kind interface".
  std::vector<std::string> RunFor(milliseconds time) {
    for (const SteadyTime end = now + time; now < end; now += milliseconds(50)) {
      if (now >= keeper.due_at()) keeper.Look(now);
    }
    std::vector<std::string> told;
    for (const Event& event : events.Since(seen, SIZE_MAX)) told.push_back(event.kind + " " + event.interface);
    seen = events.last_id();
    return told;
  }
  std::vector<std::string> News(milliseconds time = seconds(1)) {
    keeper.NoteNews(now);
    return RunFor(time);
  }
  InterfaceStatus status(size_t i = 0) const { return keeper.report().at(i); }

  uint32_t ours = kOurs;
  std::map<std::string, LinkProgram> links{{"eth0", {.index = 2, .program_id = kOurs}}};
  bool kernel_fails = false;
  int attempts = 0;
  EventLog events;
  uint64_t seen = 0;
  SteadyTime now = SteadyTime() + seconds(1000);
  InterfaceKeeper keeper{{"eth0", "eth1"},
                         [this](std::span<const std::string> names) { return LookUp(names); },
                         [this](const std::string& name) { return Attach(name); },
                         events};
};

using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("What is as it should be at the start is no news, and what is missing is shown with its reason") {
  KeeperBench bench;
  CHECK(bench.RunFor(seconds(20)).empty());
  CHECK(bench.status().attached);
  CHECK(bench.status().native);
  CHECK(bench.status().index == 2);
  CHECK(bench.attempts == 1);
  CHECK_FALSE(bench.status(1).attached);
  CHECK(bench.status(1).problem == "there is no such interface in this network namespace");
}

TEST_CASE("An interface that comes later gets the program") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.links["eth1"] = {.index = 3, .program_id = 0};
  CHECK(bench.News() == Told{"interface_attached eth1"});
  CHECK(bench.status(1).attached);
  CHECK(bench.status(1).index == 3);
  CHECK(bench.status(1).problem.empty());
}

TEST_CASE("An interface that goes is told, and has the program again when it comes back under another index") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.links.erase("eth0");
  CHECK(bench.News() == Told{"interface_gone eth0"});
  CHECK(bench.status() == InterfaceStatus{.name = "eth0",
                                          .index = 0,
                                          .attached = false,
                                          .native = false,
                                          .problem = "there is no such interface in this network namespace"});
  CHECK(bench.RunFor(seconds(20)).empty());
  bench.links["eth0"] = {.index = 12, .program_id = 0};
  CHECK(bench.News(milliseconds(100)) == Told{"interface_attached eth0"});
  CHECK(bench.links["eth0"].program_id == kOurs);
}

TEST_CASE("One that was gone and back before anybody looked is told as both") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.links["eth0"] = {.index = 12, .program_id = 0};
  CHECK(bench.News(milliseconds(100)) == Told{"interface_gone eth0", "interface_attached eth0"});
}

TEST_CASE("Without any news of it a change is found within five seconds") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.links["eth0"] = {.index = 12, .program_id = 0};
  CHECK(bench.RunFor(InterfaceKeeper::kLookAgain) == Told{"interface_gone eth0", "interface_attached eth0"});
}

TEST_CASE("A program that somebody took off is put back and told, however often, but not faster than twice a second") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.links["eth0"].program_id = 0;
  CHECK(bench.News() == Told{"interface_unattached eth0", "interface_attached eth0"});
  const int before = bench.attempts;
  for (int i = 0; i < 40; ++i) {  // ten seconds, four times a second
    bench.links["eth0"].program_id = 0;
    bench.News(milliseconds(250));
  }
  CHECK(bench.attempts - before >= 10);
  CHECK(bench.attempts - before <= 21);
}

TEST_CASE("Another version of our program, or one beside it, is no news") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.ours = bench.links["eth0"].program_id = 8;
  CHECK(bench.News().empty());
  CHECK(bench.attempts == 2);
  CHECK(bench.News().empty());
  CHECK(bench.attempts == 2);
}

TEST_CASE("Somebody else's program is told once, asked again quietly, and ours is back when it goes") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.links["eth0"].program_id = kStranger;
  CHECK(bench.News() == Told{"interface_unattached eth0"});
  CHECK(bench.status().problem == "attaching to eth0: a stranger's");
  const int before = bench.attempts;
  CHECK(bench.RunFor(seconds(60)).empty());
  CHECK(bench.attempts - before >= 11);
  CHECK(bench.attempts - before <= 13);
  CHECK(bench.links["eth0"].program_id == kStranger);
  bench.links["eth0"].program_id = 0;
  CHECK(bench.News() == Told{"interface_attached eth0"});
}

TEST_CASE("While the kernel does not answer nothing is concluded") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  bench.kernel_fails = true;
  CHECK(bench.News(seconds(20)).empty());
  CHECK(bench.status().attached);
  bench.kernel_fails = false;
  bench.links.erase("eth0");
  CHECK(bench.RunFor(seconds(6)) == Told{"interface_gone eth0"});
}

TEST_CASE("Whether the link is up is followed, of an interface that has the program and of one that has not") {
  KeeperBench bench;
  bench.RunFor(seconds(1));
  CHECK_FALSE(bench.status().carrier);
  bench.links["eth0"].carrier = true;
  bench.links["eth1"] = {.index = 3, .program_id = kStranger, .carrier = true};
  bench.News();
  CHECK(bench.status().carrier);
  CHECK(bench.status().attached);
  CHECK(bench.status(1).carrier);
  CHECK_FALSE(bench.status(1).attached);
  bench.links["eth0"].carrier = false;
  CHECK(bench.News().empty());  // no event of the interface: it keeps the program
  CHECK_FALSE(bench.status().carrier);
  CHECK(bench.status().attached);
  bench.links["eth0"].carrier = true;
  bench.News();
  bench.links.erase("eth0");
  bench.News();
  CHECK_FALSE(bench.status().carrier);
}

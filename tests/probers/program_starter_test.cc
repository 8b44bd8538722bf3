// SPDX-License-Identifier: Apache-2.0
// Programs started by a process of its own: the same as those the daemon starts itself, and only for who may.
#include "userspace/health/program_starter.h"

#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "tests/probers/asking.h"

namespace shunt {
namespace {

using Catch::Contains;

UserIds User(const std::string& name) {
  const auto ids = LookUpUser(name);
  REQUIRE(ids);
  return *ids;
}

ChildCommand Command(std::vector<std::string> arguments, const std::string& user = "nobody") {
  return {
      .arguments = std::move(arguments), .environment = {"GREETING=hello"}, .user = User(user), .input = "a line\n"};
}

ChildEnd EndOf(ChildProcess& child) {
  pollfd waiting{.fd = child.descriptor(), .events = POLLIN, .revents = 0};
  REQUIRE(poll(&waiting, 1, 20000) == 1);
  const auto end = child.Reap();
  REQUIRE(end);
  return *end;
}

std::unique_ptr<ProgramStarter> Starter(const ProgramStarter::Options& options = {}) {
  auto starter = ProgramStarter::Fork(options);
  INFO((starter ? "" : starter.error().message));
  REQUIRE(starter);
  return std::move(*starter);
}

TEST_CASE("A program that another process starts has its user, environment, input and end") {
  const auto starter = Starter();
  auto child = starter->Start(
      Command({"/bin/sh", "-c", "read line; [ \"$line $GREETING $(id -un)\" = 'a line hello nobody' ] && exit 7"}));
  REQUIRE(child);
  CHECK(EndOf(*child).ToString() == "exit status 7");
  CHECK_FALSE(child->Reap());
  auto running = starter->Start(Command({"/bin/sleep", "1000"}));
  REQUIRE(running);
  CHECK_FALSE(running->Reap());
  running->Kill();
  CHECK(EndOf(*running).ToString() == "killed by signal 9 (Killed)");
  const auto none = starter->Start(Command({"/nonexistent/check"}));
  REQUIRE_FALSE(none);
  CHECK_THAT(none.error().message, Contains("executing it: No such file or directory"));
}

TEST_CASE("Only the users who may run programs do, whatever is asked for") {
  const auto starter = Starter({.users = {User("nobody")}, .prepare = {}});
  const auto refused = starter->Start(Command({"/bin/true"}, "daemon"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(refused.error().message,
             Contains("\"daemon\" may not run programs, only nobody") && Contains("--program_users"));
  // The user counts, not the groups that were asked for with it.
  ChildCommand more = Command({"/bin/sh", "-c", "[ \"$(id -G)\" = \"$(id -G nobody)\" ]"});
  more.user.group = 0;
  more.user.groups = {0};
  auto child = starter->Start(more);
  REQUIRE(child);
  CHECK(EndOf(*child).passed());
}

TEST_CASE("Programs go with who asked for them, and with the process that started them") {
  const TemporaryFolder folder;
  auto starter = Starter();
  const auto is_gone = [](pid_t pid) {
    for (int i = 0; i < 2000 && std::filesystem::exists("/proc/" + std::to_string(pid)); ++i) usleep(1000);
    return !std::filesystem::exists("/proc/" + std::to_string(pid));
  };
  pid_t pid = 0;
  {
    const auto child = starter->Start(Command({"/bin/sleep", "1000"}));
    REQUIRE(child);
    pid = child->pid();
  }
  CHECK(is_gone(pid));
  auto child = starter->Start(Command({"/bin/sleep", "1000"}));
  REQUIRE(child);
  pid = child->pid();
  kill(starter->process(), SIGKILL);
  CHECK(EndOf(*child).by_signal);
  CHECK(is_gone(pid));
  CHECK_FALSE(starter->Start(Command({"/bin/true"})));
}

TEST_CASE("A process that cannot be prepared is an error with its words") {
  const auto starter = ProgramStarter::Fork(
      {.users = {}, .prepare = []() -> Status { return Fail(ErrorKind::kSystem, "giving up rights: no"); }});
  REQUIRE_FALSE(starter);
  CHECK_THAT(starter.error().message, Contains("giving up rights: no"));
}

}  // namespace
}  // namespace shunt

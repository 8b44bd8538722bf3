// SPDX-License-Identifier: Apache-2.0
// Programs started by the daemon: what they get, what they do not, and how they end.
#include "userspace/health/child_process.h"

#include <fcntl.h>
#include <poll.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <iterator>

#include "tests/probers/asking.h"

namespace shunt {
namespace {

ChildEnd WaitForEnd(ChildProcess& child) {
  pollfd waiting{.fd = child.descriptor(), .events = POLLIN, .revents = 0};
  REQUIRE(poll(&waiting, 1, 20000) == 1);
  const auto end = child.Reap();
  REQUIRE(end);
  return *end;
}

ChildCommand Command(std::vector<std::string> arguments, const std::string& user = "nobody") {
  const auto ids = LookUpUser(user);
  REQUIRE(ids);
  return {.arguments = std::move(arguments), .environment = {"GREETING=hello"}, .user = *ids, .input = {}};
}

// What a shell script prints when it runs as `user`. (The shell belongs to the test, not to ChildProcess.)
std::string Output(const std::string& script, const std::string& user = "nobody", const std::string& input = "") {
  const TemporaryFolder folder;
  const std::string file = folder.Write("output", "");
  Shell("chmod 755 " + folder.File("") + " && chmod 666 " + file);
  ChildCommand command = Command({"/bin/sh", "-c", "{ " + script + "; } >" + file, "name"}, user);
  command.input = input;
  auto child = ChildProcess::Start(command);
  REQUIRE(child);
  WaitForEnd(*child);
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST_CASE("a program's exit status is told") {
  auto child = ChildProcess::Start(Command({"/bin/sh", "-c", "exit 7"}));
  REQUIRE(child);
  const ChildEnd end = WaitForEnd(*child);
  CHECK_FALSE(end.passed());
  CHECK(end.ToString() == "exit status 7");
  CHECK_FALSE(child->Reap());
  auto good = ChildProcess::Start(Command({"/bin/true"}));
  REQUIRE(good);
  CHECK(WaitForEnd(*good).passed());
}

TEST_CASE("the signal that ended a program is told") {
  auto child = ChildProcess::Start(Command({"/bin/sleep", "1000"}));
  REQUIRE(child);
  CHECK_FALSE(child->Reap());
  child->Kill();
  CHECK(WaitForEnd(*child).ToString() == "killed by signal 9 (Killed)");
}

TEST_CASE("a program that cannot be executed is an error that names it and why") {
  const auto absent = ChildProcess::Start(Command({"/nonexistent/check", "x"}));
  REQUIRE_FALSE(absent);
  CHECK(absent.error().message ==
        "starting \"/nonexistent/check\" as user \"nobody\": executing it: No such file or directory");
  const auto no_program = ChildProcess::Start(Command({"/etc/passwd"}));
  REQUIRE_FALSE(no_program);
  CHECK(no_program.error().message == "starting \"/etc/passwd\" as user \"nobody\": executing it: Permission denied");
}

TEST_CASE("a user that does not exist is an error that names it") {
  const auto ids = LookUpUser("no-such-user");
  REQUIRE_FALSE(ids);
  CHECK(ids.error().message == "looking up user \"no-such-user\": there is none of this name");
}

TEST_CASE("a program has the rights of its user and no others") {
  CHECK(Output("id -un; id -Gn") == "nobody\nnogroup\n");
  const std::string status = Output("cat /proc/self/status");
  CHECK(status.find("CapEff:\t0000000000000000") != std::string::npos);
  CHECK(status.find("CapPrm:\t0000000000000000") != std::string::npos);
  CHECK(status.find("NoNewPrivs:\t1") != std::string::npos);
}

TEST_CASE("a program has the environment it is given, no other descriptors, and no signal blocked or ignored") {
  CHECK(Output("cat /proc/self/environ | tr '\\0' '\\n' | grep -v -e ^PWD= -e ^_=") == "GREETING=hello\n");
  const UniqueFd inherited(open("/dev/null", O_RDONLY));        // not close-on-exec
  CHECK(Output("ls /proc/self/fd; pwd") == "0\n1\n2\n3\n/\n");  // 3: the folder that ls reads

  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto handler = std::signal(SIGPIPE, SIG_IGN);
  // Not by a shell, which unblocks them itself.
  const TemporaryFolder folder;
  Shell("chmod 777 " + folder.File(""));
  auto child = ChildProcess::Start(Command({"/bin/cp", "/proc/self/status", folder.File("status")}));
  std::signal(SIGPIPE, handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  REQUIRE(child);
  CHECK(WaitForEnd(*child).passed());
  std::ifstream stream(folder.File("status"));
  const std::string status(std::istreambuf_iterator<char>(stream), {});
  CHECK(status.find("SigBlk:\t0000000000000000") != std::string::npos);
  CHECK(status.find("SigIgn:\t0000000000000000") != std::string::npos);
}

TEST_CASE("a program reads what it is given, whatever its length, and writes into nothing") {
  CHECK(Output("cat", "nobody", "a line\n") == "a line\n");
  CHECK(Output("wc -c", "nobody", std::string(1000000, 'x')) == "1000000\n");
  CHECK(Output("cat") == "");
  CHECK(Output("readlink /proc/$$/fd/2") == "/dev/null\n");
}

TEST_CASE("arguments reach the program as they are: there is no shell") {
  const TemporaryFolder folder;
  Shell("chmod 777 " + folder.File(""));
  auto child = ChildProcess::Start(Command({"/usr/bin/touch", folder.File("$(id) ; * | `x`")}));
  REQUIRE(child);
  CHECK(WaitForEnd(*child).passed());
  CHECK(std::ifstream(folder.File("$(id) ; * | `x`")).is_open());
}

// The pids that a script wrote, one a line, once there are `count`.
std::vector<int> Pids(const std::string& file, size_t count) {
  std::vector<int> pids;
  REQUIRE(Comes([&] {
    std::ifstream stream(file);
    pids.assign(std::istream_iterator<int>(stream), {});
    return pids.size() == count;
  }));
  return pids;
}

bool IsGone(int pid) {
  return Comes([&] {
    std::ifstream stream("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    // A zombie that whoever inherited it has not reaped yet runs no more.
    return !std::getline(stream, line) || line.find(") Z ") != std::string::npos;
  });
}

TEST_CASE("a program is killed with all that it started") {
  const TemporaryFolder folder;
  const std::string file = folder.Write("pids", "");
  Shell("chmod 755 " + folder.File("") + " && chmod 666 " + file);
  const std::string script = "sleep 1000 & echo $! >>" + file + "; echo $$ >>" + file + "; wait";
  std::vector<int> pids;
  {
    auto child = ChildProcess::Start(Command({"/bin/sh", "-c", script}));
    REQUIRE(child);
    pids = Pids(file, 2);
  }
  for (const int pid : pids) CHECK(IsGone(pid));
}

TEST_CASE("what a program leaves behind when it ends is killed") {
  const TemporaryFolder folder;
  const std::string file = folder.Write("pids", "");
  Shell("chmod 755 " + folder.File("") + " && chmod 666 " + file);
  auto child = ChildProcess::Start(Command({"/bin/sh", "-c", "sleep 1000 & echo $! >>" + file}));
  REQUIRE(child);
  CHECK(WaitForEnd(*child).passed());
  CHECK(IsGone(Pids(file, 1)[0]));
}

}  // namespace
}  // namespace shunt

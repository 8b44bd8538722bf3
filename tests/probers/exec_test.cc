// SPDX-License-Identifier: Apache-2.0
// Probes by an external program.
#include <catch2/catch.hpp>

#include "tests/probers/asking.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

ProbeTarget Running(std::vector<std::string> command) {
  ProbeTarget target{.real = Address("10.0.0.11"), .destination = Address("203.0.113.10"), .port = 443, .check = {}};
  target.check.kind = CheckKind::kExec;
  target.check.command = std::move(command);
  return target;
}

TEST_CASE("exec: status 0 passes, all else fails with its cause, and it passes again") {
  Asking asking;
  const TemporaryFolder folder;
  Shell("chmod 755 " + folder.File(""));
  auto& prober = asking.Prober(Running({"/usr/bin/test", "-e", folder.File("up")}));
  CHECK(asking.Ask(prober).cause == "exit status 1");
  folder.Write("up", "");
  CHECK(asking.Ask(prober).cause == "");
  CHECK(prober.prober->sockets() == 0);
  Shell("rm " + folder.File("up"));
  CHECK(asking.Ask(prober).cause == "exit status 1");
  CHECK(asking.Ask(asking.Prober(Running({"/bin/sh", "-c", "kill -9 $$"}))).cause == "killed by signal 9 (Killed)");
  CHECK(asking.Ask(asking.Prober(Running({"/nonexistent/check"}))).cause ==
        "starting \"/nonexistent/check\" as user \"nobody\": executing it: No such file or directory");
  ProbeTarget nobody = Running({"/bin/true"});
  nobody.check.user = "no-such-user";
  CHECK(asking.Ask(asking.Prober(nobody)).cause == "looking up user \"no-such-user\": there is none of this name");
}

TEST_CASE("exec: a program that takes too long is killed") {
  Asking asking;
  auto& prober = asking.Prober(Running({"/bin/sleep", "1000"}));
  CHECK(asking.Ask(prober, milliseconds(50)).cause == "no answer within 50 ms");
  CHECK(prober.prober->sockets() == 0);
  prober.prober->Start({}, milliseconds(1000));
  CHECK(prober.prober->sockets() == 1);
  prober.prober.reset();
}

TEST_CASE("exec: the program is told whom to ask, and nothing else") {
  Asking asking;
  const std::string script =
      "[ \"$(cat /proc/self/environ | tr '\\0' '\\n' | grep -v -e ^PWD= -e ^_= -e ^PATH= | sort | tr '\\n' ' ')\" = "
      "'SHUNT_PORT=443 SHUNT_REAL=10.0.0.11 SHUNT_TIMEOUT_MS=5000 SHUNT_VIP_ADDRESS=203.0.113.10 ' ]";
  CHECK(asking.Ask(asking.Prober(Running({"/bin/sh", "-c", script}))).cause == "");
}

}  // namespace
}  // namespace shunt

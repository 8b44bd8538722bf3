// SPDX-License-Identifier: Apache-2.0
// The filter on system calls, each time in a child, since it stays for good. tests/lab/privileges.sh holds it against a
// whole daemon.
#include "userspace/daemon/system_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <thread>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

// How a child ended that ran `what` under the filter: its status as waitpid() tells it.
int Limited(const std::function<bool()>& what) {
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // no core of a kill that is wanted
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !LimitSystemCalls()) _exit(2);
    _exit(what() ? 0 : 1);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}
bool Holds(const std::function<bool()>& what) {
  const int status = Limited(what);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
bool Kills(const std::function<bool()>& what) {
  const int status = Limited(what);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

TEST_CASE("Under the filter threads, files and sockets work") {
  CHECK(Holds([] {
    int seen = 0;
    std::thread([&seen] { seen = 1; }).join();
    return seen == 1;
  }));
  CHECK(Holds([] { return UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)).valid(); }));
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
    CHECK(Holds([family] { return UniqueFd(socket(family, SOCK_DGRAM, 0)).valid(); }));
}

TEST_CASE("Under the filter a program or another process is the end, and what is merely not needed is refused") {
  CHECK(Kills([] { return execl("/bin/true", "true", nullptr) == 0; }));
  CHECK(Kills([] { return fork() == 0; }));
  CHECK(Kills([] { return setuid(getuid()) == 0; }));
  CHECK(Holds([] { return socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM; }));
  CHECK(Holds([] { return sethostname("x", 1) < 0 && errno == EPERM; }));
}

}  // namespace
}  // namespace shunt

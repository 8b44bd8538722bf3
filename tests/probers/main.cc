// SPDX-License-Identifier: Apache-2.0
// The one main of the probers' tests: makes the network they run in before any thread is there. Gone with the process.
#define CATCH_CONFIG_RUNNER
#include <sched.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

// Packets into the one end of the pair come out of the other, where nobody wants them.
constexpr char kNetwork[] =
    "ip link set lo up && ip link add silent type veth peer name nobody && ip link set silent up && "
    "ip link set nobody up && ip address add 10.99.0.1/24 dev silent && "
    "ip -6 address add fd99::1/64 dev silent nodad && "
    "ip neighbour add 10.99.0.2 lladdr 02:00:00:00:00:02 dev silent && "
    "ip -6 neighbour add fd99::2 lladdr 02:00:00:00:00:02 dev silent && "
    "echo 1 >/proc/sys/net/ipv4/tcp_fwmark_accept";  // an accepted socket has the mark of the SYN

}  // namespace

int main(int count, char** arguments) {
  if (unshare(CLONE_NEWNET) != 0 || std::system(kNetwork) != 0) {
    std::fputs("prober_tests: making a network namespace failed; it needs root\n", stderr);
    return 1;
  }
  std::signal(SIGPIPE, SIG_IGN);  // as the daemon does
  return Catch::Session().run(count, arguments);
}

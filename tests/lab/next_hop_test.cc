// SPDX-License-Identifier: Apache-2.0
// NextHopResolver against the running kernel. The topology and the waiting: next_hop_lab.h.
#define CATCH_CONFIG_RUNNER
#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <set>
#include <string>

#include "tests/lab/next_hop_lab.h"
#include "userspace/net/netlink.h"

namespace shunt {
namespace {

// Netlink sockets of this namespace that have lost events.
int SocketsOverrun() {
  return std::stoi(Output("awk 'NR > 1 && $(NF - 1) > 0 { n++ } END { print n + 0 }' /proc/$$/net/netlink"));
}

TEST_CASE("a real on the link is reached by its own MAC, in both families") {
  const NextHopLab lab;
  for (const char* text : {"10.0.0.1", "2001:db8:a::1"}) {
    const IpAddress real = Address(text);
    const NextHop hop = lab.AwaitHop(real);
    CHECK(hop.interface_index == IndexOf("eth0"));
    CHECK(hop.local_mac.ToString() == "02:00:00:00:00:02");
    CHECK(hop.gateway_mac.ToString() == "02:00:00:00:00:01");
    CHECK(hop.source == Address(real.family() == Family::kIpv4 ? "10.0.0.2" : "2001:db8:a::2"));
    CHECK(hop.mtu_bytes == 1500);
  }
}

TEST_CASE("a real behind a gateway is reached by the gateway's MAC, whatever the gateway's family") {
  const NextHopLab lab;
  Run("ip route add 10.8.0.0/16 via 10.0.0.1 && ip -6 route add 2001:db8:8::/48 via 2001:db8:a::1");
  Run("ip route add 10.9.0.0/16 via inet6 2001:db8:b::1 && ip -6 route add 2001:db8:9::/48 via fe80::1 dev eth1");
  for (const auto& [text, mac, source] : {std::array{"10.8.0.7", "02:00:00:00:00:01", "10.0.0.2"},
                                          std::array{"2001:db8:8::7", "02:00:00:00:00:01", "2001:db8:a::2"},
                                          std::array{"10.9.0.7", "02:00:00:00:01:01", "10.0.0.2"},
                                          std::array{"2001:db8:9::7", "02:00:00:00:01:01", "2001:db8:b::2"}}) {
    INFO(text);
    const NextHop hop = lab.AwaitHop(Address(text));
    CHECK(hop.gateway_mac.ToString() == mac);
    CHECK(hop.source.family() == Address(text).family());
    CHECK((hop.source == Address(source) || std::string(text) == "10.9.0.7"));
  }
}

TEST_CASE("thousands of reals are answered, each by its own route") {
  const NextHopLab lab;
  Run("ip route add 10.8.0.0/16 via 10.0.0.1 && ip route add 10.9.0.0/16 via 10.0.1.1");
  std::set<IpAddress> reals;
  for (int i = 0; i < 3000; ++i) reals.insert(Address(fmt::format("10.{}.{}.{}", 8 + i % 2, i / 250, i % 250 + 1)));
  lab.AwaitHop(Address("10.8.0.1"));
  lab.Resolve(reals);
  lab.AwaitHop(Address("10.9.0.2"));
  Run("ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:0a dev eth0 nud permanent");
  Run("ip neigh replace 10.0.1.1 lladdr 02:00:00:00:00:0b dev eth1 nud permanent");
  for (const auto& [real, state] : lab.Resolve(reals)) {
    INFO(real.ToString() << ": " << NextHopLab::Describe(state));
    REQUIRE(state.next_hop);
    REQUIRE(state.next_hop->gateway_mac.bytes[5] == (real.ipv4()[1] == 8 ? 0x0a : 0x0b));
  }
}

TEST_CASE("a gateway that changes its MAC is followed") {
  const NextHopLab lab;
  Run("ip route add 10.8.0.0/16 via 10.0.0.1 && ip -6 route add 2001:db8:8::/48 via 2001:db8:a::1");
  lab.AwaitHop(Address("10.8.0.7"));
  lab.AwaitHop(Address("2001:db8:8::7"));
  const std::set reals{Address("10.8.0.7"), Address("2001:db8:8::7")};
  lab.Resolve(reals);
  lab.router.RunInside("ip link set up0 address 02:00:00:00:00:99");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:00:99");
  lab.AwaitMac(Address("2001:db8:8::7"), "02:00:00:00:00:99");
}

TEST_CASE("an interface that changes its own MAC is followed") {
  const NextHopLab lab;
  lab.AwaitHop(Address("10.0.0.1"));
  Run("ip link set eth0 address 02:00:00:00:00:77");
  lab.Await(Address("10.0.0.1"), [](const NextHopState& state) {
    return state.next_hop && state.next_hop->local_mac.ToString() == "02:00:00:00:00:77";
  });
}

TEST_CASE("a route that moves to another interface takes the real along") {
  const NextHopLab lab;
  for (const auto& [real, first, second] :
       {std::array{"10.8.0.7", "10.8.0.0/16 via 10.0.0.1", "10.8.0.0/16 via 10.0.1.1"},
        std::array{"2001:db8:8::7", "2001:db8:8::/48 via 2001:db8:a::1", "2001:db8:8::/48 via 2001:db8:b::1"}}) {
    Run(fmt::format("ip route add {}", first));
    lab.AwaitMac(Address(real), "02:00:00:00:00:01");
    Run(fmt::format("ip route replace {}", second));
    CHECK(lab.AwaitMac(Address(real), "02:00:00:00:01:01").interface_index == IndexOf("eth1"));
  }
}

TEST_CASE("a more specific route and a policy rule are followed") {
  const NextHopLab lab;
  Run("ip route add 10.8.0.0/16 via 10.0.0.1");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:00:01");
  Run("ip route add 10.8.0.7 via 10.0.1.1");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:01:01");
  Run("ip route add 10.8.0.0/16 via 10.0.0.1 table 100");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:01:01");
  Run("ip rule add to 10.8.0.0/16 lookup 100");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:00:01");
}

TEST_CASE("a default route that moves takes the reals of its family along and no others") {
  const NextHopLab lab;
  for (const char* gateway :
       {"10.0.0.1 dev eth0", "10.0.1.1 dev eth1", "2001:db8:a::1 dev eth0", "2001:db8:b::1 dev eth1"})
    Run(fmt::format("ip neigh add {} lladdr 02:00:00:00:00:0a nud permanent", gateway));
  Run("ip route add default via 10.0.0.1 && ip -6 route add default via 2001:db8:a::1");
  const IpAddress ipv4 = Address("10.8.0.7");
  const IpAddress ipv6 = Address("2001:db8:8::7");
  const auto check_links = [&](const char* ipv4_link, const char* ipv6_link) {
    const NextHopTable table = lab.Resolve(std::set{ipv4, ipv6});
    REQUIRE(table.at(ipv4).next_hop);
    CHECK(table.at(ipv4).next_hop->interface_index == IndexOf(ipv4_link));
    REQUIRE(table.at(ipv6).next_hop);
    CHECK(table.at(ipv6).next_hop->interface_index == IndexOf(ipv6_link));
  };
  check_links("eth0", "eth0");
  Run("ip -6 route replace default via 2001:db8:b::1");
  check_links("eth0", "eth1");
  Run("ip route replace default via 10.0.1.1");
  check_links("eth1", "eth1");
}

TEST_CASE("a link that goes down takes its reals away until it is up again") {
  const NextHopLab lab;
  const IpAddress real = Address("10.0.0.1");
  lab.AwaitHop(real);
  lab.router.RunInside("ip link set up0 down");
  lab.AwaitProblem(real, "next hop leaves by eth0, which has no carrier");
  lab.router.RunInside("ip link set up0 up");
  lab.AwaitHop(real);
  Run("ip link set eth0 down");
  lab.AwaitProblem(real, "no route to 10.0.0.1");
  Run("ip link set eth0 up");
  lab.AwaitHop(real);
}

TEST_CASE("a link that comes up wins a real back to the better route, without a route event") {
  const NextHopLab lab;
  Run("echo 1 > /proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown");
  Run("ip route add 10.8.0.0/16 via 10.0.0.1 metric 10 && ip route add 10.8.0.0/16 via 10.0.1.1 metric 20");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:00:01");
  lab.router.RunInside("ip link set up0 down");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:01:01");
  lab.router.RunInside("ip link set up0 up");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:00:01");
}

TEST_CASE("a real without a usable route gets a sentence that says which kind") {
  const NextHopLab lab;
  Run("ip route add unreachable 10.7.1.0/24 && ip route add prohibit 10.7.2.0/24 && ip route add blackhole "
      "10.7.3.0/24");
  Run("ip route add unreachable 2001:db8:7:1::/64 && ip route add prohibit 2001:db8:7:2::/64"
      " && ip route add blackhole 2001:db8:7:3::/64");
  for (const std::string prefix : {"10.7.", "2001:db8:7:"}) {
    const std::string end = prefix == "10.7." ? ".1" : "::1";
    const auto problem = [&](int net) { return lab.Resolve(Address(prefix + std::to_string(net) + end)).problem; };
    const auto name = [&](int net) { return prefix + std::to_string(net) + end; };
    CHECK(problem(1) == "the route to " + name(1) + " is of type unreachable");
    CHECK(problem(2) == "the route to " + name(2) + " is of type prohibit");
    CHECK(problem(3) == "the route to " + name(3) + " is of type blackhole");
    CHECK(problem(4) == "no route to " + name(4));
  }
}

TEST_CASE("a real that appears on this host is refused, and accepted again when it leaves") {
  const NextHopLab lab;
  for (const char* text : {"10.0.0.2", "2001:db8:a::2", "127.0.0.1"})
    CHECK(lab.Resolve(Address(text)).problem ==
          std::string(text) + " is an address of this host; a real must be another host");
  CHECK(lab.Resolve(Address("10.0.0.255")).problem == "10.0.0.255 is a broadcast address; a real must be one host");
  lab.AwaitHop(Address("10.0.0.1"));
  Run("ip addr add 10.0.0.1/32 dev eth1");
  lab.AwaitProblem(Address("10.0.0.1"), "10.0.0.1 is an address of this host; a real must be another host");
  Run("ip addr del 10.0.0.1/32 dev eth1");
  lab.AwaitHop(Address("10.0.0.1"));
}

TEST_CASE("the MTU is the link's or, where smaller, the route's, and both are followed") {
  const NextHopLab lab;
  const auto await_mtu = [&](const char* real, uint32_t mtu_bytes) {
    lab.Await(Address(real),
              [&](const NextHopState& state) { return state.next_hop && state.next_hop->mtu_bytes == mtu_bytes; });
  };
  for (const auto& [real, route] : {std::array{"10.8.0.7", "10.8.0.0/16 via 10.0.0.1"},
                                    std::array{"2001:db8:8::7", "2001:db8:8::/48 via 2001:db8:a::1"}}) {
    Run("ip link set eth0 mtu 1500");
    Run(fmt::format("ip route add {}", route));
    await_mtu(real, 1500);
    Run(fmt::format("ip route replace {} mtu 1400", route));
    await_mtu(real, 1400);
    Run(fmt::format("ip route replace {}", route));
    Run("ip link set eth0 mtu 1450");
    await_mtu(real, 1450);
  }
}

TEST_CASE("a neighbour that does not answer is named, and found once it does") {
  const NextHopLab lab;
  for (const auto& [real, problem] :
       {std::array{"10.0.0.9", "10.0.0.9 on eth0 does not answer ARP"},
        std::array{"2001:db8:a::9", "2001:db8:a::9 on eth0 does not answer neighbour discovery"}}) {
    CHECK(lab.Resolve(Address(real)).problem == std::string(real) + " on eth0 is being resolved");
    lab.AwaitProblem(Address(real), problem);
    CHECK(lab.Resolve(Address(real)).problem == problem);  // still, while it is being tried again
    lab.router.RunInside(fmt::format("ip addr add {} dev up0", real));
    lab.AwaitMac(Address(real), "02:00:00:00:00:01");
  }
}

TEST_CASE("a gateway that falls silent is noticed without any traffic") {
  const NextHopLab lab;
  Run("cd /proc/sys/net/ipv4/neigh/eth0 && echo 200 > base_reachable_time_ms && echo 0 > delay_first_probe_time");
  lab.AwaitHop(Address("10.0.0.1"));
  lab.router.RunInside("ip link set up0 arp off");
  lab.AwaitProblem(Address("10.0.0.1"), "10.0.0.1 on eth0 does not answer ARP");
}

TEST_CASE("a permanent neighbour is used and left alone") {
  const NextHopLab lab;
  for (const char* text : {"10.0.0.5", "2001:db8:a::5"}) {
    Run(fmt::format("ip neigh add {} lladdr 02:00:00:00:00:05 dev eth0 nud permanent", text));
    CHECK(lab.AwaitHop(Address(text)).gateway_mac.ToString() == "02:00:00:00:00:05");
    CHECK(Contains(NeighbourEntry(text), "PERMANENT"));
    CHECK(!Contains(NeighbourEntry(text), "managed"));
  }
}

TEST_CASE("an entry the operator fixes while it does not answer is used and left alone") {
  const NextHopLab lab;
  lab.AwaitProblem(Address("10.0.0.9"), "10.0.0.9 on eth0 does not answer ARP");
  Run("ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent");
  lab.AwaitMac(Address("10.0.0.9"), "02:00:00:00:00:09");
  lab.Resolve(std::set<IpAddress>{});
  CHECK(Contains(NeighbourEntry("10.0.0.9"), "lladdr 02:00:00:00:00:09 PERMANENT"));
}

TEST_CASE("a neighbour is managed while a real needs it and released when none does") {
  const NextHopLab lab;
  lab.AwaitHop(Address("10.0.0.1"));
  CHECK(Contains(NeighbourEntry("10.0.0.1"), "managed"));
  lab.Resolve(std::set{Address("10.0.1.1")});
  CHECK(!Contains(NeighbourEntry("10.0.0.1"), "managed"));
  CHECK(Contains(NeighbourEntry("10.0.0.1"), "02:00:00:00:00:01"));
}

TEST_CASE("a resolver that ends releases its neighbours, and leaves those of others managed") {
  NextHopLab lab;
  Run("ip neigh add 10.0.1.1 dev eth1 managed");
  lab.AwaitHop(Address("10.0.0.1"));
  lab.AwaitHop(Address("10.0.1.1"));
  lab.resolver.reset();
  CHECK(!Contains(NeighbourEntry("10.0.0.1"), "managed"));
  CHECK(Contains(NeighbourEntry("10.0.1.1"), "managed"));
}

TEST_CASE("a neighbour that is flushed is found again") {
  const NextHopLab lab;
  lab.AwaitHop(Address("10.0.0.1"));
  Run("ip neigh flush dev eth0 && ip neigh del 10.0.0.1 dev eth0 2> /dev/null; true");
  lab.Await(Address("10.0.0.1"), [](const NextHopState& state) {
    return state.next_hop && Contains(NeighbourEntry("10.0.0.1"), "managed");
  });
}

TEST_CASE("the source address is the kernel's choice for the route and follows it") {
  const NextHopLab lab;
  Run("ip addr add 10.0.0.77/24 dev eth0 && ip addr add 2001:db8:a::77/64 dev eth0");
  for (const auto& [real, route, source] :
       {std::array{"10.8.0.7", "10.8.0.0/16 via 10.0.0.1", "10.0.0.77"},
        std::array{"2001:db8:8::7", "2001:db8:8::/48 via 2001:db8:a::1", "2001:db8:a::77"}}) {
    const auto await_source = [&](bool chosen) {
      lab.Await(Address(real), [&](const NextHopState& state) {
        return state.next_hop && (state.next_hop->source == Address(source)) == chosen;
      });
    };
    Run(fmt::format("ip route add {} src {}", route, source));
    await_source(true);
    Run(fmt::format("ip route replace {} src {}", route, real[0] == '1' ? "10.0.0.2" : "2001:db8:a::2"));
    await_source(false);
  }
}

TEST_CASE("a source address that is removed is replaced, or its absence is said") {
  const NextHopLab lab;
  CHECK(lab.AwaitHop(Address("2001:db8:a::1")).source == Address("2001:db8:a::2"));
  Run("ip addr add 2001:db8:a::3/64 dev eth0 && ip addr del 2001:db8:a::2/64 dev eth0");
  lab.Await(Address("2001:db8:a::1"), [](const NextHopState& state) {
    return state.next_hop && state.next_hop->source == Address("2001:db8:a::3");
  });
  Run("ip -4 addr flush dev eth1 && ip -4 addr flush dev eth0 && ip route add 10.8.0.0/16 via inet6 2001:db8:a::1");
  lab.AwaitProblem(Address("10.8.0.7"), "this host has no IPv4 address to send from to 10.8.0.7");
}

TEST_CASE("a device that XDP cannot send through is named") {
  const NextHopLab lab;
  Run("ip link add br0 type bridge && ip link set eth1 master br0 && ip link set br0 up");
  Run("ip route add 10.7.0.0/16 dev br0 && ip route add 10.6.0.0/16 dev lo");
  CHECK(lab.Resolve(Address("10.7.0.1")).problem == "next hop leaves by br0, a bridge; XDP cannot send there");
  CHECK(lab.Resolve(Address("10.6.0.1")).problem ==
        "next hop leaves by lo, which is not an Ethernet device; XDP cannot send there");
}

TEST_CASE("neighbours and routes that no real needs change nothing") {
  const NextHopLab lab;
  lab.AwaitHop(Address("10.0.0.1"));
  while (lab.AwaitEvent(SteadyClock::now() + kQuiet)) lab.Resolve(Address("10.0.0.1"));  // discovery's own last events
  Run("ip neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev eth0 && ip route add 10.8.0.0/16 via 10.0.0.1"
      " && ip -6 route add 2001:db8:8::/48 via 2001:db8:a::1");
  REQUIRE(lab.AwaitEvent(SteadyClock::now() + kDeadline));
  const auto idle = lab.resolver->Changed();
  REQUIRE(idle);
  CHECK(!*idle);
  CHECK(!lab.AwaitEvent(SteadyClock::now()));  // drained
  Run("ip route add 10.0.0.1/32 via 10.0.1.1");
  const auto busy = lab.resolver->Changed();
  REQUIRE(busy);
  CHECK(*busy);
  lab.AwaitMac(Address("10.0.0.1"), "02:00:00:00:01:01");
}

TEST_CASE("events that were lost do not matter") {
  const NextHopLab lab;
  Run("ip route add 10.8.0.0/16 via 10.0.0.1");
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:00:01");
  // Far more than the receive buffer holds, then the one that counts.
  Run("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo route add 10.20.$((i/250)).$((i%250))/32 dev eth1; done"
      " | ip -batch - && ip route replace 10.8.0.0/16 via 10.0.1.1");
  CHECK(SocketsOverrun() == 1);
  lab.AwaitMac(Address("10.8.0.7"), "02:00:00:00:01:01");
}

TEST_CASE("a socket that lost events says so once, and hears the next ones") {
  const NextHopLab lab;
  constexpr int kLinks[] = {RTNLGRP_LINK};
  auto events = NetlinkEvents::Open(kLinks);
  REQUIRE(events);
  const int bytes = 1;  // the kernel makes it its smallest
  REQUIRE(setsockopt(events->fd(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) == 0);
  Run("i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo link set eth1 alias name$i; done | ip -batch -");
  int heard = 0;
  const auto take = [&](const nlmsghdr*) { ++heard; };
  const auto lossy = events->Drain(take);
  REQUIRE(lossy);
  CHECK_FALSE(*lossy);
  CHECK(heard < 200);
  heard = 0;
  Run("ip link set eth1 alias again");
  const auto whole = events->Drain(take);
  REQUIRE(whole);
  CHECK(*whole);
  CHECK(heard == 1);
}

}  // namespace
}  // namespace shunt

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;  // as tests/lab/CMakeLists.txt tells ctest
  if (unshare(CLONE_NEWNET) != 0) {
    std::perror("skipped: next_hop_tests needs root, to make network namespaces");
    return kSkipped;
  }
  return Catch::Session().run(argc, argv);
}

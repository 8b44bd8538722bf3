// SPDX-License-Identifier: Apache-2.0
#include "tests/lab/next_hop_lab.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace shunt {
namespace {

UniqueFd OpenThisNamespace() {
  UniqueFd fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  REQUIRE(fd.valid());
  return fd;
}

// Addresses are usable at once and a new MAC is announced.
void EnterNewNamespace() {
  REQUIRE(unshare(CLONE_NEWNET) == 0);
  Run("ip link set lo up"
      " && cd /proc/sys/net && echo 0 > ipv6/conf/default/accept_dad && echo 1 > ipv4/conf/default/arp_notify"
      " && echo 1 > ipv6/conf/default/ndisc_notify");
}

void Connect(const OtherNamespace& router, char number, char letter) {
  Run(
      fmt::format("ip link add eth{0} address 02:00:00:00:0{0}:02 type veth"
                  " peer name up{0} address 02:00:00:00:0{0}:01 netns {1}"
                  " && ip addr add 10.0.{0}.2/24 dev eth{0} && ip addr add 2001:db8:{2}::2/64 dev eth{0}"
                  " && ip link set eth{0} up",
                  number, router.path(), letter));
  // Silence is noticed in a fraction of a second.
  Run(
      fmt::format("cd /proc/sys/net && echo 100 > ipv4/neigh/eth{0}/retrans_time_ms"
                  " && echo 100 > ipv6/neigh/eth{0}/retrans_time_ms",
                  number));
  router.RunInside(
      fmt::format("ip addr add 10.0.{0}.1/24 dev up{0} && ip addr add 2001:db8:{1}::1/64 dev up{0}"
                  " && ip addr add fe80::1/64 dev up{0} && ip link set up{0} up",
                  number, letter));
}

}  // namespace

void Run(const std::string& command) {
  INFO(command);
  const int status = std::system(command.c_str());
  REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

std::string Output(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  REQUIRE(pipe);
  std::string text;
  std::array<char, 4096> part;
  while (const size_t got = fread(part.data(), 1, part.size(), pipe.get())) text.append(part.data(), got);
  return text;
}

IpAddress Address(const std::string& text) {
  auto address = IpAddress::Parse(text);
  REQUIRE(address);
  return *address;
}

uint32_t IndexOf(const std::string& link) {
  return static_cast<uint32_t>(std::stoul(Output("ip -o link show dev " + link)));
}

std::string NeighbourEntry(const std::string& address) { return Output("ip neigh show to " + address); }

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

OtherNamespace::OtherNamespace() {
  const UniqueFd home = OpenThisNamespace();
  EnterNewNamespace();
  fd_ = OpenThisNamespace();
  REQUIRE(setns(home.get(), CLONE_NEWNET) == 0);
}

std::string OtherNamespace::path() const { return fmt::format("/proc/{}/fd/{}", getpid(), fd_.get()); }

void OtherNamespace::RunInside(const std::string& command) const {
  Run(fmt::format("nsenter --net={} sh -c '{}'", path(), command));
}

NextHopLab::OwnNamespace::OwnNamespace() { EnterNewNamespace(); }

NextHopLab::NextHopLab() {
  Connect(router, '0', 'a');
  Connect(router, '1', 'b');
  auto created = NextHopResolver::Create();
  REQUIRE(created);
  resolver = std::move(*created);
}

NextHopTable NextHopLab::Resolve(const std::set<IpAddress>& reals) const {
  auto table = resolver->Resolve(reals);
  if (!table) FAIL(table.error().message);
  REQUIRE(table->size() == reals.size());
  return *table;
}

NextHopState NextHopLab::Await(const IpAddress& real, const std::function<bool(const NextHopState&)>& expected) const {
  const auto end = SteadyClock::now() + kDeadline;
  while (true) {
    NextHopState state = Resolve(real);
    if (expected(state)) return state;
    if (SteadyClock::now() >= end || !AwaitEvent(end))
      FAIL("no event brought " << real.ToString() << " further than: " << Describe(state));
  }
}

NextHop NextHopLab::AwaitHop(const IpAddress& real) const {
  return *Await(real, [](const NextHopState& state) { return state.next_hop.has_value(); }).next_hop;
}

NextHop NextHopLab::AwaitMac(const IpAddress& real, const std::string& mac) const {
  const auto has_mac = [&](const NextHopState& state) {
    return state.next_hop && state.next_hop->gateway_mac.ToString() == mac;
  };
  return *Await(real, has_mac).next_hop;
}

void NextHopLab::AwaitProblem(const IpAddress& real, const std::string& problem) const {
  Await(real, [&](const NextHopState& state) { return state.problem == problem; });
}

bool NextHopLab::AwaitEvent(SteadyClock::time_point end) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - SteadyClock::now()).count();
  pollfd waiting{.fd = resolver->fd(), .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left, 0))) == 1;
}

std::string NextHopLab::Describe(const NextHopState& state) {
  if (!state.next_hop) return state.problem;
  return fmt::format("interface {}, {}, from {}, MTU {}", state.next_hop->interface_index,
                     state.next_hop->gateway_mac.ToString(), state.next_hop->source.ToString(),
                     state.next_hop->mtu_bytes);
}

}  // namespace shunt

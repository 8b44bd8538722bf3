// SPDX-License-Identifier: Apache-2.0
// The network of the next hop tests: two namespaces without names, which vanish with the object.
//
//   balancer (the calling thread's)                  router
//     eth0 10.0.0.2/24  2001:db8:a::2/64  ────────── up0 10.0.0.1/24  2001:db8:a::1/64  fe80::1
//     eth1 10.0.1.2/24  2001:db8:b::2/64  ────────── up1 10.0.1.1/24  2001:db8:b::1/64  fe80::1
//     02:00:00:00:0N:02                              02:00:00:00:0N:01
//
// Nothing here sleeps: waiting is on the resolver's fd(), so an event that does not come fails the test.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "userspace/base/unique_fd.h"
#include "userspace/net/next_hop_resolver.h"

namespace shunt {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kDeadline = std::chrono::seconds(20);
constexpr auto kQuiet = std::chrono::milliseconds(300);  // no event for so long: discovery is over

void Run(const std::string& command);  // by the shell, in the balancer; must succeed
std::string Output(const std::string& command);

IpAddress Address(const std::string& text);
uint32_t IndexOf(const std::string& link);
std::string NeighbourEntry(const std::string& address);  // as ip prints it
bool Contains(const std::string& text, const std::string& part);

// Another namespace than the thread's, kept alive by its descriptor.
class OtherNamespace {
 public:
  OtherNamespace();
  std::string path() const;
  void RunInside(const std::string& command) const;  // without single quotes

 private:
  UniqueFd fd_;
};

class NextHopLab {
 public:
  NextHopLab();  // the thread enters a new namespace, the balancer's

  NextHopTable Resolve(const std::set<IpAddress>& reals) const;
  NextHopState Resolve(const IpAddress& real) const { return Resolve(std::set{real}).at(real); }

  // Resolves, and again after every event, until the state is the expected one.
  NextHopState Await(const IpAddress& real, const std::function<bool(const NextHopState&)>& expected) const;
  NextHop AwaitHop(const IpAddress& real) const;
  NextHop AwaitMac(const IpAddress& real, const std::string& mac) const;
  void AwaitProblem(const IpAddress& real, const std::string& problem) const;
  bool AwaitEvent(SteadyClock::time_point end) const;

  static std::string Describe(const NextHopState& state);

 private:
  struct OwnNamespace {
    OwnNamespace();
  } own_;  // before the others, which are made inside it

 public:
  OtherNamespace router;
  std::unique_ptr<NextHopResolver> resolver;
};

}  // namespace shunt

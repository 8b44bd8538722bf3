// SPDX-License-Identifier: Apache-2.0
// What is announced as time goes by: routes, events, what an earlier run left, what is held back.
#include "userspace/bgp/announcements.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/bgp_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::seconds;
using Lines = std::vector<std::string>;

const VipKey kWeb = Key("203.0.113.10:443/tcp");
const VipKey kQuic = Key("203.0.113.10:443/udp");
const VipKey kOther = Key("203.0.113.11:443/tcp");
const VipKey kSix = Key("[2001:db8:1::10]:443/tcp");

TableRoute Route(const std::string& prefix, uint32_t metric) { return {Prefix::Parse(prefix).value(), metric}; }

struct Host {
  explicit Host(const std::vector<TableRoute>& adopted = {}) : announcements(adopted) {}

  // What is told, as "kind prefix: cause".
  Lines Follow() {
    Lines told;
    for (const Event& event : announcements.Follow(InForce(state, liveness), view, now)) {
      told.push_back(event.kind + " " + event.vip + ": " + event.cause + (event.planned ? " (planned)" : ""));
    }
    return told;
  }
  void SetUp(const VipKey& vip, int up) { liveness[vip] = FirstUp(state, vip, up).at(vip); }
  Lines Routes() const {
    Lines lines;
    for (const TableRoute& route : announcements.routes()) {
      lines.push_back(route.prefix.ToString() + " " + std::to_string(route.metric));
    }
    return lines;
  }
  PrefixAnnouncing Of(const std::string& prefix) const {
    return announcements.prefixes().at(Prefix::Parse(prefix).value());
  }

  DesiredState state = CheckedVip(kWeb, 4);
  Liveness liveness = FirstUp(state, kWeb, 4);
  HostView view;
  SteadyTime now = SteadyTime() + seconds(1000);
  Announcements announcements;
};

}  // namespace

TEST_CASE("Each VIP has a route to its address, told once, and VIPs of one address share it") {
  Host host;
  host.state.vips[kQuic] = host.state.vips[kOther] = host.state.vips[kSix] = host.state.vips[kWeb];
  for (const VipKey& vip : {kQuic, kOther, kSix}) host.SetUp(vip, 4);
  CHECK(host.Follow() == Lines{"prefix_announced 203.0.113.10/32: 203.0.113.10:443/tcp: 4 healthy reals",
                               "prefix_announced 203.0.113.11/32: 4 healthy reals",
                               "prefix_announced 2001:db8:1::10/128: 4 healthy reals"});
  CHECK(host.Routes() == Lines{"203.0.113.10/32 100", "203.0.113.11/32 100", "2001:db8:1::10/128 100"});
  CHECK(host.Of("203.0.113.10/32").vips == std::vector{kWeb, kQuic});
  CHECK(host.Follow().empty());
}

TEST_CASE("The last healthy real of a VIP takes its route along at once, and no other") {
  Host host;
  host.state.vips[kOther] = host.state.vips[kWeb];
  host.SetUp(kOther, 4);
  host.Follow();
  host.SetUp(kWeb, 0);
  CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.10/32: no real takes new flows"});
  CHECK(host.Routes() == Lines{"203.0.113.11/32 100"});
  CHECK(host.Of("203.0.113.10/32").announcing == Announcing::kWithdrawn);
  CHECK(host.announcements.vips().at(kWeb).healthy_reals == 0);
}

TEST_CASE("Losses are told before gains, whatever their order among the prefixes") {
  Host host;
  host.state.vips[kOther] = host.state.vips[kWeb];
  host.SetUp(kOther, 4);
  host.state.vips[kWeb].announce.state = AnnounceState::kDown;
  host.Follow();
  host.state.vips[kWeb].announce = {};
  host.SetUp(kOther, 0);
  CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.11/32: no real takes new flows",
                               "prefix_announced 203.0.113.10/32: 4 healthy reals"});
}

TEST_CASE("A prefix that came and went is held down, says how long still, and comes when that is over") {
  Host host;
  host.Follow();
  host.SetUp(kWeb, 0);
  host.Follow();
  host.now += seconds(1);
  host.SetUp(kWeb, 4);
  CHECK(host.Follow().empty());
  CHECK(host.Routes().empty());
  CHECK(host.Of("203.0.113.10/32").held == seconds(4));
  CHECK(host.Of("203.0.113.10/32").cause == "held down, for it came and went: 4 healthy reals");
  CHECK(host.announcements.vips().at(kWeb).wanted == Announcing::kAnnounced);
  REQUIRE(host.announcements.due_at());
  CHECK(*host.announcements.due_at() == host.now + seconds(4));
  host.now += seconds(4);
  CHECK(host.Follow() == Lines{"prefix_announced 203.0.113.10/32: 4 healthy reals"});
  CHECK_FALSE(host.announcements.due_at());
  CHECK_FALSE(host.Of("203.0.113.10/32").held);
}

TEST_CASE("An operator's down and up is no flap") {
  Host host;
  host.Follow();
  host.state.vips[kWeb].announce.state = AnnounceState::kDown;
  CHECK(host.Follow() ==
        Lines{"prefix_withdrawn 203.0.113.10/32: an operator took it down (announce.state) (planned)"});
  host.state.vips[kWeb].announce = {};
  CHECK(host.Follow() == Lines{"prefix_announced 203.0.113.10/32: 4 healthy reals"});
}

TEST_CASE("Of a shared prefix the one that carried it to the end tells whether the loss was planned, and why it went") {
  Host host;
  host.state.vips[kQuic] = host.state.vips[kWeb];
  host.SetUp(kQuic, 4);
  host.state.vips[kWeb].announce.state = AnnounceState::kDown;
  host.Follow();
  SECTION("a failure after an operator's down is a flap") {
    host.SetUp(kQuic, 0);
    CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.10/32: 203.0.113.10:443/udp: no real takes new flows"});
    host.SetUp(kQuic, 4);
    CHECK(host.Follow().empty());
    CHECK(host.Of("203.0.113.10/32").held == seconds(5));
  }
  SECTION("an operator's down after a failure is none") {
    host.state.vips[kWeb].announce = {};
    host.SetUp(kQuic, 0);
    CHECK(host.Follow().empty());
    host.state.vips[kWeb].announce.state = AnnounceState::kDown;
    CHECK(host.Follow().size() == 1);
    host.state.vips[kWeb].announce = {};
    CHECK(host.Follow() == Lines{"prefix_announced 203.0.113.10/32: 203.0.113.10:443/tcp: 4 healthy reals"});
  }
}

TEST_CASE("A shared prefix stays while one of its VIPs has enough, and goes with the first that is required") {
  Host host;
  host.state.vips[kQuic] = host.state.vips[kWeb];
  host.SetUp(kQuic, 4);
  host.Follow();
  host.SetUp(kQuic, 0);
  CHECK(host.Follow().empty());
  host.state.vips[kQuic].announce.required = true;
  CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.10/32: 203.0.113.10:443/udp: no real takes new flows"});
}

TEST_CASE("VIPs of one prefix are one route, with the communities of all") {
  Host host;
  host.state.vips[kOther] = host.state.vips[kWeb];
  host.SetUp(kOther, 4);
  const Prefix shared = Prefix::Parse("203.0.113.0/24").value();
  host.state.vips[kWeb].announce = {.prefix = shared, .communities = Lines{"64512:2", "64512:1"}};
  host.state.vips[kOther].announce = {.prefix = shared, .communities = Lines{"64512:1:1", "64512:1"}};
  host.Follow();
  CHECK(host.Routes() == Lines{"203.0.113.0/24 100"});
  CHECK(host.Of("203.0.113.0/24").communities == Lines{"64512:1", "64512:1:1", "64512:2"});
  CHECK(host.Of("203.0.113.0/24").vips == std::vector{kWeb, kOther});
}

TEST_CASE("Another preference is another metric at once, and no event") {
  Host host;
  host.Follow();
  host.state.vips[kWeb].announce.preference = 7;
  CHECK(host.Follow().empty());
  CHECK(host.Routes() == Lines{"203.0.113.10/32 7"});
}

TEST_CASE("A VIP that is removed, or moves to another prefix, leaves no route behind") {
  Host host;
  host.Follow();
  host.state.vips[kWeb].announce.prefix = Prefix::Parse("203.0.113.0/24").value();
  CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.10/32: no VIP has it (planned)",
                               "prefix_announced 203.0.113.0/24: 4 healthy reals"});
  CHECK(host.Routes() == Lines{"203.0.113.0/24 100"});
  host.state.vips.clear();
  host.liveness.clear();
  CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.0/24: no VIP has it (planned)"});
  CHECK(host.Routes().empty());
  CHECK(host.announcements.prefixes().empty());
}

TEST_CASE("Routes of an earlier run stay without an event, and those that nobody needs go") {
  Host host({Route("203.0.113.10/32", 100), Route("203.0.113.99/32", 100)});
  CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.99/32: no VIP has it (planned)"});
  CHECK(host.Routes() == Lines{"203.0.113.10/32 100"});
  CHECK(host.Follow().empty());
}

TEST_CASE("A prefix that an earlier run announced needs what it takes to stay, another one what it takes to come") {
  struct Row {
    const char* left;
    std::vector<TableRoute> routes;
    HostPhase phase;
    bool had_enough;
  };
  for (const Row& row :
       {Row{"announced", {Route("203.0.113.10/32", 100)}, HostPhase::kServing, true},
        Row{"announced, and being replaced",
            {Route("203.0.113.10/32", 1100), Route("203.0.113.10/32", 100)},
            HostPhase::kServing,
            true},
        Row{"on its way out", {Route("203.0.113.10/32", 2100)}, HostPhase::kServing, false},
        Row{"lowered, for it had too few", {Route("203.0.113.10/32", 1100)}, HostPhase::kServing, false},
        Row{"lowered, for the host drains", {Route("203.0.113.10/32", 1100)}, HostPhase::kDraining, true},
        Row{"nothing", {}, HostPhase::kServing, false}}) {
    INFO(row.left);
    Host host(row.routes);
    host.state.vips[kWeb].announce = {.min_reals = 2, .return_reals = 3, .on_drain = StepDown::kLower};
    host.view.phase = row.phase;
    host.SetUp(kWeb, 2);
    host.Follow();
    const bool there = host.announcements.vips().at(kWeb).wanted != Announcing::kWithdrawn;
    CHECK(there == row.had_enough);
  }
}

TEST_CASE("A VIP that joins a prefix which is announced must have what it takes to come") {
  Host host;
  host.Follow();
  host.state.vips[kQuic] = host.state.vips[kWeb];
  host.state.vips[kQuic].announce = {.min_reals = 1, .return_reals = 3};
  host.SetUp(kQuic, 2);
  host.Follow();
  CHECK(host.announcements.vips().at(kQuic).wanted == Announcing::kWithdrawn);
}

TEST_CASE("A host that drains with grace asks others to take over, then withdraws, and comes back at once") {
  Host host;
  host.Follow();
  host.view.phase = HostPhase::kDraining;
  host.view.graceful = true;
  CHECK(host.Follow() == Lines{"prefix_graceful 203.0.113.10/32: the host drains (planned)"});
  CHECK(host.Routes() == Lines{"203.0.113.10/32 2100"});
  host.view.graceful = false;
  CHECK(host.Follow() == Lines{"prefix_withdrawn 203.0.113.10/32: the host drains (planned)"});
  host.view.phase = HostPhase::kServing;
  CHECK(host.Follow() == Lines{"prefix_announced 203.0.113.10/32: 4 healthy reals"});
}

TEST_CASE("A host that drains by preference keeps its routes, less preferred than all others") {
  Host host;
  host.state.vips[kWeb].announce = {.on_drain = StepDown::kLower, .preference = 300};
  host.Follow();
  host.view.phase = HostPhase::kDraining;
  CHECK(host.Follow() == Lines{"prefix_lowered 203.0.113.10/32: the host drains (planned)"});
  CHECK(host.Routes() == Lines{"203.0.113.10/32 1300"});
}

TEST_CASE("What is withdrawn does not come back only to ask others to take over") {
  Host host;
  host.state.vips[kWeb].announce.state = AnnounceState::kDown;
  host.Follow();
  host.view.phase = HostPhase::kLeaving;
  host.view.graceful = true;
  host.state.vips[kWeb].announce = {};
  CHECK(host.Follow().empty());
  CHECK(host.Routes().empty());
  CHECK(host.Of("203.0.113.10/32").cause == "the host leaves");
}

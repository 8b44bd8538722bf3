// SPDX-License-Identifier: Apache-2.0
// Every reason for and against announcing, of a VIP and of a prefix that several share.
#include "userspace/bgp/policy.h"

#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <vector>

#include "tests/unit/bgp_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

const VipKey kVip = Key("203.0.113.10:443/tcp");
const VipKey kOther = Key("203.0.113.11:443/tcp");

HostView Tested() {
  HostView host;
  host.self_test[kVip] = "";
  host.tests = true;
  return host;
}

// A VIP with four reals; by itself all is well.
struct Situation {
  DesiredState state = CheckedVip(kVip, 4);
  int healthy = 4;
  HostView host = Tested();
  bool had_enough = true;
  // What the planner would not make by itself.
  std::function<void(Snapshot&)> spoil = [](Snapshot&) {};

  AnnounceSettings& settings() { return state.vips.at(kVip).announce; }

  VipVerdict Decide() const {
    Snapshot snapshot = InForce(state, FirstUp(state, kVip, healthy));
    spoil(snapshot);
    const Vip& vip = state.vips.at(kVip);
    const AnnouncePolicy policy = PolicyOf(state.defaults.announce, vip.announce, kVip.address);
    return DecideVip({snapshot, kVip, vip, policy, had_enough}, host);
  }
};

struct Expected {
  const char* when;
  std::function<void(Situation&)> arrange;
  Announcing wanted;
  std::string cause;
  bool planned = false;
};

void CheckEach(const std::vector<Expected>& table) {
  for (const auto& [when, arrange, wanted, cause, planned] : table) {
    INFO(when);
    Situation situation;
    arrange(situation);
    const VipAnnouncing decided = situation.Decide().announcing;
    CHECK(ToString(decided.wanted) == ToString(wanted));
    CHECK(decided.cause == cause);
    CHECK(decided.planned == planned);
  }
}

constexpr auto kAnnounced = Announcing::kAnnounced, kLowered = Announcing::kLowered, kGraceful = Announcing::kGraceful,
               kWithdrawn = Announcing::kWithdrawn;

}  // namespace

TEST_CASE("A VIP is announced while everything that it needs is there, and each thing that lacks is the reason") {
  CheckEach({
      {"all is well", [](Situation&) {}, kAnnounced, "4 healthy reals"},
      {"one of four is healthy", [](Situation& s) { s.healthy = 1; }, kAnnounced, "1 healthy real"},
      {"its reals are not checked", [](Situation& s) { s.state.defaults.health = {}; }, kAnnounced, "4 healthy reals"},
      {"an operator took it down", [](Situation& s) { s.settings().state = AnnounceState::kDown; }, kWithdrawn,
       "an operator took it down (announce.state)", true},
      {"all VIPs are down by default", [](Situation& s) { s.state.defaults.announce.state = AnnounceState::kDown; },
       kWithdrawn, "an operator took it down (announce.state)", true},
      {"all are down by default, but not this one",
       [](Situation& s) {
         s.state.defaults.announce.state = AnnounceState::kDown;
         s.settings().state = AnnounceState::kUp;
       },
       kAnnounced, "4 healthy reals"},
      {"nobody is healthy", [](Situation& s) { s.healthy = 0; }, kWithdrawn, "no real takes new flows"},
      {"all reals are drained",
       [](Situation& s) {
         for (auto& [address, real] : s.state.vips[kVip].reals) real.state = RealState::kDrain;
       },
       kWithdrawn, "no real takes new flows"},
      {"it has no reals", [](Situation& s) { s.state.vips[kVip].reals.clear(); }, kWithdrawn,
       "no real takes new flows"},
      {"it is not in the data plane", [](Situation& s) { s.spoil = [](Snapshot& in) { in.plan.vips.clear(); }; },
       kWithdrawn, "no real takes new flows"},
      {"no interface balances", [](Situation& s) { s.host.problem = "eth0: the link is down"; }, kWithdrawn,
       "eth0: the link is down"},
      {"it was not tested yet", [](Situation& s) { s.host.self_test.clear(); }, kWithdrawn,
       "the self-test has not been made yet"},
      {"nothing is tested on this host",
       [](Situation& s) {
         s.host.self_test.clear();
         s.host.tests = false;
       },
       kAnnounced, "4 healthy reals"},
      {"the self-test failed", [](Situation& s) { s.host.self_test[kVip] = "the program did not send the packet on"; },
       kWithdrawn, "self-test: the program did not send the packet on"},
      {"it panics, and its reals take traffic all the same",
       [](Situation& s) {
         s.state.defaults.panic_percent = 50;
         s.healthy = 1;
       },
       kAnnounced, "1 healthy real"},
      {"it panics with nobody healthy",
       [](Situation& s) {
         s.state.defaults.panic_percent = 50;
         s.healthy = 0;
       },
       kWithdrawn, "0 healthy reals (0 % of the weight); it needs 1 (0 %)"},
      {"the same, and it may be announced with none",
       [](Situation& s) {
         s.state.defaults.panic_percent = 50;
         s.settings().min_reals = 0;
         s.healthy = 0;
       },
       kAnnounced, "0 healthy reals"},
      {"it panics, with the action withdraw",
       [](Situation& s) {
         s.state.defaults.panic_percent = 50;
         s.state.defaults.panic_action = PanicAction::kWithdraw;
         s.healthy = 1;
       },
       kWithdrawn, "in panic, with the action withdraw: 25 % of the weight is healthy"},
  });
}

TEST_CASE("Enough is so many healthy reals and so much of the weight, and another step than withdrawing is to lower") {
  CheckEach({
      {"fewer reals than it needs",
       [](Situation& s) {
         s.settings().min_reals = 3;
         s.healthy = 2;
       },
       kWithdrawn, "2 healthy reals (50 % of the weight); it needs 3 (0 %)"},
      {"as many as it needs",
       [](Situation& s) {
         s.settings().min_reals = 3;
         s.healthy = 3;
       },
       kAnnounced, "3 healthy reals"},
      {"less of the weight than it needs",
       [](Situation& s) {
         s.settings().min_percent = 60;
         s.healthy = 2;
       },
       kWithdrawn, "2 healthy reals (50 % of the weight); it needs 1 (60 %)"},
      {"enough reals of little weight",
       [](Situation& s) {
         s.settings().min_percent = 50;
         s.state.vips[kVip].reals[Address("10.0.0.4")].weight = 40;
         s.healthy = 3;
       },
       kWithdrawn, "3 healthy reals (43 % of the weight); it needs 1 (50 %)"},
      {"too few, and lowered for it",
       [](Situation& s) {
         s.settings().min_reals = 3;
         s.settings().on_unhealthy = StepDown::kLower;
         s.healthy = 2;
       },
       kLowered, "2 healthy reals (50 % of the weight); it needs 3 (0 %)"},
      {"nothing to lower without a ring",
       [](Situation& s) {
         s.settings().on_unhealthy = StepDown::kLower;
         s.healthy = 0;
       },
       kWithdrawn, "no real takes new flows"},
  });
}

TEST_CASE("Reals count as healthy ones only if they may take new flows") {
  Situation situation;
  auto& reals = situation.state.vips[kVip].reals;
  reals[Address("10.0.0.1")].state = RealState::kDrain;
  reals[Address("10.0.0.2")].weight = 0;
  reals[Address("10.0.0.3")].backup = true;
  CHECK(situation.Decide().announcing.healthy_reals == 1);
  reals[Address("10.0.0.4")].group = "green";               // another than the active one
  CHECK(situation.Decide().announcing.healthy_reals == 1);  // the backup has joined
  CHECK(situation.Decide().announcing.cause == "1 healthy real");
}

TEST_CASE("A VIP that had too few comes back with more than it went away at") {
  Situation situation;
  situation.settings().min_reals = 2;
  situation.settings().return_reals = 3;
  struct Row {
    int healthy;
    bool had_enough;
    bool has_enough;
  };
  for (const Row& row : {Row{4, true, true}, Row{2, true, true}, Row{1, true, false}, Row{1, false, false},
                         Row{2, false, false}, Row{3, false, true}}) {
    situation.healthy = row.healthy;
    situation.had_enough = row.had_enough;
    INFO(row.healthy << " healthy, had enough: " << row.had_enough);
    const VipVerdict verdict = situation.Decide();
    CHECK(verdict.has_enough == row.has_enough);
    CHECK((verdict.announcing.wanted == kAnnounced) == row.has_enough);
  }
  situation.healthy = 2;
  situation.had_enough = false;
  CHECK(situation.Decide().announcing.cause == "2 healthy reals (50 % of the weight); it comes back with 3 (0 %)");
}

TEST_CASE("Of a share of the weight ten points more bring it back, unless something else is said") {
  Situation situation;
  situation.settings().min_percent = 50;
  situation.had_enough = false;
  situation.healthy = 2;
  CHECK(situation.Decide().announcing.cause == "2 healthy reals (50 % of the weight); it comes back with 1 (60 %)");
  situation.settings().return_percent = 50;
  CHECK(situation.Decide().announcing.wanted == kAnnounced);
}

TEST_CASE("A host that drains or leaves withdraws, after others were asked to take over, or stays less preferred") {
  const auto in = [](HostPhase phase, bool graceful, StepDown on_drain = StepDown::kWithdraw) {
    return [=](Situation& s) {
      s.host.phase = phase;
      s.host.graceful = graceful;
      s.settings().on_drain = on_drain;
    };
  };
  using enum HostPhase;
  CheckEach({
      {"drains, others are to take over", in(kDraining, true), kGraceful, "the host drains", true},
      {"drains, time is up", in(kDraining, false), kWithdrawn, "the host drains", true},
      {"leaves, others are to take over", in(kLeaving, true), kGraceful, "the host leaves", true},
      {"leaves, time is up", in(kLeaving, false), kWithdrawn, "the host leaves", true},
      {"drains by preference", in(kDraining, true, StepDown::kLower), kLowered, "the host drains", true},
      {"and stays so", in(kDraining, false, StepDown::kLower), kLowered, "the host drains", true},
      {"leaves, whatever a drain does", in(kLeaving, true, StepDown::kLower), kGraceful, "the host leaves", true},
      {"leaves, and time is up", in(kLeaving, false, StepDown::kLower), kWithdrawn, "the host leaves", true},
  });
}

TEST_CASE("A host that drains or leaves makes nothing better than it is") {
  CheckEach({
      {"withdrawn for its health, and it stays so",
       [](Situation& s) {
         s.host.phase = HostPhase::kDraining;
         s.host.graceful = true;
         s.settings().min_reals = 3;
         s.healthy = 2;
       },
       kWithdrawn, "2 healthy reals (50 % of the weight); it needs 3 (0 %)"},
      {"lowered for its health, others are to take over",
       [](Situation& s) {
         s.host.phase = HostPhase::kLeaving;
         s.host.graceful = true;
         s.settings() = {.min_reals = 3, .on_unhealthy = StepDown::kLower};
         s.healthy = 2;
       },
       kGraceful, "the host leaves", true},
      {"a failed self-test withdraws it at once",
       [](Situation& s) {
         s.host.phase = HostPhase::kDraining;
         s.settings().on_drain = StepDown::kLower;
         s.host.self_test[kVip] = "broken";
       },
       kWithdrawn, "self-test: broken"},
  });
}

namespace {

struct Member {
  Announcing wanted = kAnnounced;
  bool required = false;
  uint32_t preference = 100;
  bool planned = false;
};

// Of VIPs 203.0.113.1:443/tcp and up, whose causes are "one", "two", "three".
PrefixVerdict Decide(const std::vector<Member>& given) {
  std::vector<VipKey> keys;
  std::vector<AnnouncePolicy> policies;
  std::vector<VipAnnouncing> announcing;
  for (const auto& [wanted, required, preference, planned] : given) {
    const size_t number = keys.size();
    keys.push_back(Key("203.0.113." + std::to_string(number + 1) + ":443/tcp"));
    policies.emplace_back();
    policies.back().required = required;
    policies.back().preference = preference;
    announcing.push_back({.wanted = wanted, .planned = planned, .cause = std::vector{"one", "two", "three"}[number]});
  }
  std::vector<PrefixMember> members;
  for (size_t i = 0; i < given.size(); ++i) members.push_back({&keys[i], &policies[i], &announcing[i]});
  return DecidePrefix(members);
}

}  // namespace

TEST_CASE("A prefix is announced as much as the best of its VIPs, and no more than each that is required") {
  struct Row {
    std::vector<Member> members;
    Announcing wanted;
    std::string cause;
  };
  const std::vector<Row> table = {
      {{{kAnnounced}}, kAnnounced, "one"},
      {{{kWithdrawn}}, kWithdrawn, "one"},
      {{{kWithdrawn}, {kAnnounced}}, kAnnounced, "203.0.113.2:443/tcp: two"},
      {{{kLowered}, {kWithdrawn}}, kLowered, "203.0.113.1:443/tcp: one"},
      {{{kWithdrawn}, {kGraceful}, {kLowered}}, kLowered, "203.0.113.3:443/tcp: three"},
      {{{kWithdrawn}, {kWithdrawn}}, kWithdrawn, "203.0.113.1:443/tcp: one"},
      {{{kAnnounced}, {kWithdrawn, true}}, kWithdrawn, "203.0.113.2:443/tcp: two"},
      {{{kAnnounced, true}, {kWithdrawn}}, kAnnounced, "203.0.113.1:443/tcp: one"},
      {{{kAnnounced, true}, {kLowered, true}, {kAnnounced}}, kLowered, "203.0.113.2:443/tcp: two"},
      {{{kLowered, true}, {kWithdrawn, true}, {kAnnounced}}, kWithdrawn, "203.0.113.2:443/tcp: two"},
      {{{kAnnounced, true}, {kWithdrawn}, {kAnnounced, true}}, kAnnounced, "203.0.113.1:443/tcp: one"},
  };
  for (const Row& row : table) {
    const PrefixVerdict verdict = Decide(row.members);
    INFO(row.cause);
    CHECK(ToString(verdict.wanted) == ToString(row.wanted));
    CHECK(verdict.cause == row.cause);
  }
}

TEST_CASE("A prefix takes the best preference of the VIPs that carry it") {
  CHECK(Decide({{kAnnounced, false, 300}, {kAnnounced, false, 200}}).preference == 200);
  CHECK(Decide({{kAnnounced, false, 300}, {kWithdrawn, false, 200}}).preference == 300);
  CHECK(Decide({{kLowered, true, 300}, {kAnnounced, false, 200}}).preference == 200);
}

TEST_CASE("The metric tells what a route is, and is understood when it is found again") {
  struct Row {
    Announcing announcing;
    uint32_t preference;
    uint32_t metric;
  };
  for (const Row& row :
       {Row{kWithdrawn, 100, 0}, Row{kAnnounced, 1, 1}, Row{kAnnounced, 999, 999}, Row{kLowered, 1, 1001},
        Row{kLowered, 999, 1999}, Row{kGraceful, 1, 2001}, Row{kGraceful, 999, 2999}}) {
    INFO(row.metric);
    CHECK(MetricOf(row.announcing, row.preference) == row.metric);
    CHECK(AnnouncingOf(row.metric) == row.announcing);
  }
}

// SPDX-License-Identifier: Apache-2.0
// What balancers compare: equal where every flow meets the same real, another where one thing differs that matters.
#include "userspace/control/digests.h"

#include <catch2/catch.hpp>
#include <functional>

#include "tests/unit/bgp_testing.h"
#include "userspace/control/planner.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

constexpr Capacities kRoom{.max_vips = 16, .max_reals = 512, .max_flows = 64};
const VipKey kWeb = Key("203.0.113.10:443/tcp");
const VipKey kOther = Key("203.0.113.11:53/udp");

VipDigest Of(const Snapshot& snapshot, const VipKey& vip = kWeb) { return Digests().Of(snapshot).at(vip); }

DesiredState TwoVips() {
  DesiredState state = WithReals(kWeb, 4);
  state.vips[kOther] = state.vips[kWeb];
  return state;
}

// In force after one state and then another, as on a host that has lived.
Snapshot After(const DesiredState& before, const DesiredState& state, SteadyTime now = SteadyTime()) {
  Snapshot snapshot = InForce(state);
  snapshot.plan = PlanFrom(PlanFrom({}, before, kRoom, SteadyTime()).value(), state, kRoom, now).value();
  return snapshot;
}

}  // namespace

TEST_CASE("Two balancers with the same store have the same digests, though ids and indices are each one's own") {
  const DesiredState state = TwoVips();
  DesiredState before = WithReals(Key("203.0.113.9:80/tcp"), 3);
  before.vips[kWeb].reals[Address("10.0.0.9")] = before.vips[kWeb].reals[Address("10.0.0.3")] = {};
  before.vips[kWeb].reals[Address("10.0.0.4")] = {};
  const Snapshot fresh = InForce(state);
  const Snapshot old = After(before, state);
  REQUIRE(fresh.plan.vips.at(kWeb).entry.id != old.plan.vips.at(kWeb).entry.id);
  REQUIRE(fresh.plan.vips.at(kWeb).reals != old.plan.vips.at(kWeb).reals);
  for (const VipKey& vip : {kWeb, kOther}) {
    CHECK(Of(fresh, vip).ring == Of(old, vip).ring);
    CHECK(Of(fresh, vip).settings == Of(old, vip).settings);
  }
}

TEST_CASE("Slots that still move are counted, and are no difference") {
  DesiredState before = TwoVips();
  before.vips[kWeb].reals.erase(Address("10.0.0.4"));
  const Snapshot moving = After(before, TwoVips());
  const Snapshot stable = InForce(TwoVips());
  CHECK(Of(moving).moving_slots > 0);
  CHECK(Of(stable).moving_slots == 0);
  CHECK(Of(moving).ring == Of(stable).ring);
  CHECK(Of(moving, kOther).moving_slots == 0);
}

TEST_CASE("Each thing that makes flows meet another real is another digest of the ring, of that VIP alone") {
  struct Row {
    const char* what;
    std::function<void(Vip&)> change;
  };
  for (const auto& [what, change] :
       {Row{"a weight", [](Vip& vip) { vip.reals[Address("10.0.0.2")].weight = 40; }},
        Row{"the ring's size", [](Vip& vip) { vip.ring_size = 17; }},
        Row{"a real more", [](Vip& vip) { vip.reals[Address("10.0.0.9")] = {}; }},
        Row{"a real less", [](Vip& vip) { vip.reals.erase(Address("10.0.0.2")); }},
        Row{"another real",
            [](Vip& vip) {
              vip.reals.erase(Address("10.0.0.2"));
              vip.reals[Address("2001:db8:7::2")] = {};
            }},
        Row{"a drain", [](Vip& vip) { vip.reals[Address("10.0.0.2")].state = RealState::kDrain; }}}) {
    INFO(what);
    DesiredState state = TwoVips();
    change(state.vips[kWeb]);
    const Snapshot here = InForce(TwoVips()), there = InForce(state);
    CHECK(Of(here).ring != Of(there).ring);
    CHECK(Of(here).settings != Of(there).settings);
    CHECK(Of(here, kOther) == Of(there, kOther));
  }
}

TEST_CASE("A real that is down here alone is another ring of the same settings") {
  DesiredState state = CheckedVip(kWeb, 4);
  const Snapshot here = InForce(state, FirstUp(state, kWeb, 4)), there = InForce(state, FirstUp(state, kWeb, 3));
  CHECK(Of(here).ring != Of(there).ring);
  CHECK(Of(here).settings == Of(there).settings);
}

TEST_CASE("What is said of a VIP, or of all, is another digest of the settings, and no other ring") {
  DesiredState state = TwoVips();
  state.vips[kWeb].announce.preference = 50;
  CHECK(Of(InForce(state)).settings != Of(InForce(TwoVips())).settings);
  CHECK(Of(InForce(state)).ring == Of(InForce(TwoVips())).ring);
  CHECK(Of(InForce(state), kOther) == Of(InForce(TwoVips()), kOther));
  state = TwoVips();
  state.defaults.tcp_settle_seconds = 60;
  for (const VipKey& vip : {kWeb, kOther}) {
    CHECK(Of(InForce(state), vip).settings != Of(InForce(TwoVips()), vip).settings);
  }
}

TEST_CASE("What is one host's own is no part of the digests") {
  DesiredState state = TwoVips();
  state.host = HostState::kDrain;
  CHECK(Digests().Of(InForce(state)) == Digests().Of(InForce(TwoVips())));
}

TEST_CASE("The hash key has an id of its own, and is no part of the digests") {
  DesiredState state = TwoVips();
  state.hash_key[15] = 7;
  CHECK(Of(InForce(state)).settings == Of(InForce(TwoVips())).settings);
  CHECK(HashKeyId(state.hash_key) != HashKeyId(TwoVips().hash_key));
  CHECK(HashKeyId(state.hash_key) == HashKeyId(state.hash_key));
}

TEST_CASE("Digests follow what is in force, and of a VIP that is gone there is none") {
  Digests digests;
  const auto first = digests.Of(InForce(TwoVips()));
  CHECK(first.size() == 2);
  DesiredState state = TwoVips();
  state.vips.erase(kOther);
  state.vips[kWeb].reals.clear();
  const Snapshot second = InForce(state);
  CHECK(digests.Of(second) == Digests().Of(second));
  CHECK(digests.Of(second).size() == 1);
  CHECK(digests.Of(InForce(TwoVips())) == first);
}

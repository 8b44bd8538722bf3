// SPDX-License-Identifier: Apache-2.0
// The planner: by examples, and by properties that must hold after any history.
#include "userspace/control/planner.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <set>
#include <tuple>

#include "tests/unit/control_testing.h"
#include "userspace/control/id_allocation.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

constexpr Capacities kSmall{.max_vips = 16, .max_reals = 512, .max_flows = 64};
const VipKey kVip = Key("203.0.113.10:443/tcp");

SteadyTime At(std::chrono::milliseconds time) { return SteadyTime() + time; }
SteadyTime At(int seconds) { return At(std::chrono::seconds(seconds)); }

Result<Plan> TryPlan(const DesiredState& state, const Plan& current, SteadyTime now = At(0),
                     const Capacities& capacities = kSmall, const Liveness& liveness = {}) {
  return PlanFrom(current, state, capacities, now, liveness);
}

Plan PlanWith(const Liveness& liveness, const DesiredState& state, const Plan& current, SteadyTime now) {
  return TryPlan(state, current, now, kSmall, liveness).value();
}

Plan PlanOf(const DesiredState& state, const Plan& current = {}, SteadyTime now = At(0)) {
  auto plan = TryPlan(state, current, now);
  INFO((plan ? "" : plan.error().message));
  REQUIRE(plan);
  return *plan;
}

// Without what the planner remembers of its members.
Plan AsRead(Plan plan) {
  for (auto& [key, vip] : plan.vips) vip.members.reset();
  return plan;
}

std::map<IpAddress, uint16_t> IndicesOf(const PlannedVip& vip) {
  std::map<IpAddress, uint16_t> indices;
  for (const auto& [index, real] : vip.reals) indices.emplace(real.address, index);
  return indices;
}

std::vector<IpAddress> RingByAddress(const PlannedVip& vip) {
  std::vector<IpAddress> ring;
  for (const RingSlot& slot : *vip.ring) ring.push_back(vip.reals.at(slot.current_real).address);
  return ring;
}

// The log of what was freed when, kept apart from the planner's own.
class RestLog {
 public:
  void Note(const Plan& before, const Plan& after, SteadyTime now) {
    const auto had = Things(before);
    const auto has = Things(after);
    for (const auto& [thing, owner] : had) {
      if (!has.contains(thing)) freed_[thing] = now;
    }
    for (const auto& [thing, owner] : has) {
      const auto old = had.find(thing);
      const auto freed = freed_.find(thing);
      const bool rested = freed == freed_.end() || now - freed->second >= kRest;
      if (old != had.end() ? old->second != owner : !rested) reused_too_early_ = true;
    }
  }
  bool reused_too_early() const { return reused_too_early_; }

 private:
  // Kind (VIP ids, indices of a VIP id, entries of the real table) and numbers.
  using Thing = std::tuple<int, uint32_t, uint32_t>;

  static std::map<Thing, std::string> Things(const Plan& plan) {
    std::map<Thing, std::string> owners;
    for (const auto& [key, vip] : plan.vips) {
      const VipEntry& entry = vip.entry;
      owners[{0, entry.id, 0}] = key.ToString();
      for (const auto& [index, real] : vip.reals) owners[{1, entry.id, index}] = real.address.ToString();
      for (uint32_t i = 0; i < entry.real_capacity; ++i) owners[{2, entry.real_base + i, 0}] = key.ToString();
    }
    return owners;
  }

  std::map<Thing, SteadyTime> freed_;
  bool reused_too_early_ = false;
};

void CheckIds(const Plan& plan, const Capacities& capacities) {
  std::set<uint32_t> ids;
  std::set<uint32_t> entries;
  for (const auto& [key, vip] : plan.vips) {
    REQUIRE(vip.entry.id >= 1);
    REQUIRE(vip.entry.id <= capacities.max_vips);
    REQUIRE(ids.insert(vip.entry.id).second);
    REQUIRE(std::has_single_bit(vip.entry.real_capacity));
    REQUIRE(vip.entry.real_base + vip.entry.real_capacity <= capacities.max_reals);
    for (uint32_t i = 0; i < vip.entry.real_capacity; ++i) REQUIRE(entries.insert(vip.entry.real_base + i).second);
    for (const auto& [index, real] : vip.reals) {
      REQUIRE(index >= 1);
      REQUIRE(index < vip.entry.real_capacity);
    }
    REQUIRE(vip.ring->size() == vip.entry.ring_slots);
  }
}

void CheckRings(const Plan& plan, const DesiredState& state) {
  for (const auto& [key, vip] : state.vips) {
    const PlannedVip& planned = plan.vips.at(key);
    REQUIRE(IndicesOf(planned).size() == vip.reals.size());
    const auto indices = IndicesOf(planned);
    std::set<IpAddress> expected;
    bool some_serve = false;
    for (const auto& [address, real] : vip.reals) {
      REQUIRE(indices.contains(address));
      if (!planned.reals.at(indices.at(address)).serves) continue;
      some_serve = true;
      if (real.weight > 0 && real.state == RealState::kActive) expected.insert(address);
    }
    std::set<IpAddress> serving;
    for (const RingSlot& slot : *planned.ring) {
      if (slot.current_real != 0) serving.insert(planned.reals.at(slot.current_real).address);
      REQUIRE((slot.previous_real == 0 || planned.reals.at(slot.previous_real).serves));
      REQUIRE((!slot.hold || (slot.current_real != 0 && slot.previous_real != 0)));
    }
    REQUIRE(serving == expected);
    const bool keeps_flows = planned.entry.tracking == Tracking::kMoving && some_serve;
    if (!expected.empty()) REQUIRE(planned.ring->size() == EffectiveSettings(state, vip).ring_size);
    if (!keeps_flows) REQUIRE((planned.unsettled.empty() && (!expected.empty() || planned.ring->empty())));
  }
}

void CheckUnsettled(const Plan& before, const Plan& after, SteadyTime now) {
  for (const auto& [key, vip] : after.vips) {
    REQUIRE(UnsettledOf(*vip.ring, now).size() == vip.unsettled.size());
    const auto old = before.vips.find(key);
    for (const UnsettledSlot& unsettled : vip.unsettled) {
      const RingSlot& slot = (*vip.ring)[unsettled.slot];
      REQUIRE(slot.previous_real != 0);
      if (unsettled.changed_at == now) continue;
      REQUIRE(old != before.vips.end());
      REQUIRE((*old->second.ring)[unsettled.slot] == slot);
      REQUIRE(std::ranges::count(old->second.unsettled, unsettled) == 1);
    }
  }
}

void CheckStability(const Plan& before, const Plan& after) {
  for (const auto& [key, vip] : after.vips) {
    const auto found = before.vips.find(key);
    if (found == before.vips.end()) continue;
    const PlannedVip& old = found->second;
    REQUIRE(vip.entry.id == old.entry.id);
    const auto old_indices = IndicesOf(old);
    for (const auto& [address, index] : IndicesOf(vip)) {
      const auto old_index = old_indices.find(address);
      if (old_index != old_indices.end()) REQUIRE(old_index->second == index);
    }
    REQUIRE((vip.ring == old.ring || *vip.ring != *old.ring));
    const bool moved = vip.entry.real_base != old.entry.real_base;
    REQUIRE((!moved || vip.entry.real_capacity > old.entry.real_capacity));
  }
}

}  // namespace

TEST_CASE("After any history ids are sound, rings right, what is freed rests and what is unchanged stays") {
  const uint32_t seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u);
  RandomChanges changes(seed);
  DesiredState state = SmallState();
  state.defaults.health.kind = CheckKind::kTcp;
  Liveness liveness;
  Plan plan;
  RestLog rests;
  SteadyTime now = At(1);
  for (int step = 0; step < 250; ++step) {
    CAPTURE(seed, step);
    DesiredState wanted = state;
    for (uint32_t i = 0; i <= changes.UpTo(3); ++i) changes.ChangeOneThing(wanted);
    now += std::chrono::milliseconds(changes.UpTo(3000));
    changes.FollowHealth(state, wanted, liveness);
    const auto next = TryPlan(wanted, plan, now, kSmall, liveness);
    INFO((next ? "" : next.error().message));
    REQUIRE(next);

    CheckIds(*next, kSmall);
    CheckRings(*next, wanted);
    CheckStability(plan, *next);
    CheckUnsettled(plan, *next, now);
    rests.Note(plan, *next, now);
    REQUIRE_FALSE(rests.reused_too_early());

    const Plan computed = PlanWith(liveness, wanted, AsRead(plan), now);  // every ring computed, none taken over unseen
    REQUIRE(Difference(*next, computed).empty());
    for (const auto& [key, vip] : next->vips) REQUIRE(vip.unsettled == computed.vips.at(key).unsettled);
    const Plan fresh = PlanWith(liveness, wanted, {}, now);
    for (const auto& [key, vip] : fresh.vips) {
      if (!vip.ring->empty()) REQUIRE(RingByAddress(next->vips.at(key)) == RingByAddress(vip));
    }
    plan = *next;
    state = wanted;
  }
}

TEST_CASE("Planning the same again changes nothing") {
  const DesiredState state = WithReals(kVip, 3);
  const Plan first = PlanOf(state);
  const Plan second = PlanOf(state, first, At(1));
  CHECK(Difference(first, second).empty());
  CHECK(first.vips.at(kVip).ring == second.vips.at(kVip).ring);
}

TEST_CASE("A VIP's ids and its range begin where the tables do") {
  const Plan plan = PlanOf(WithReals(kVip, 3));
  const VipEntry& entry = plan.vips.at(kVip).entry;
  CHECK(entry.id == 1);
  CHECK(entry.real_base == 0);
  CHECK(entry.real_capacity == 4);
  CHECK(plan.vips.at(kVip).reals.begin()->first == 1);
}

TEST_CASE("A fourth real moves a VIP to a larger range, with the same indices") {
  const Plan three = PlanOf(WithReals(kVip, 3));
  const Plan four = PlanOf(WithReals(kVip, 4), three);
  const VipEntry& after = four.vips.at(kVip).entry;
  CHECK(after.real_capacity == 8);
  CHECK(after.real_base == 4);
  for (const auto& [index, real] : three.vips.at(kVip).reals) {
    CHECK(four.vips.at(kVip).reals.at(index).address == real.address);
  }
}

TEST_CASE("A real that takes another's place gets another index until the old one has rested") {
  DesiredState state = WithReals(kVip, 2);
  const Plan before = PlanOf(state);
  state.vips[kVip].reals.erase(Address("10.0.0.1"));
  const Plan removed = PlanOf(state, before, At(1));
  state.vips[kVip].reals[Address("10.0.0.9")] = {};
  const Plan soon = PlanOf(state, removed, At(5));
  CHECK(IndicesOf(soon.vips.at(kVip)).at(Address("10.0.0.9")) == 3);
  const Plan late = PlanOf(state, removed, At(1) + kRest);
  CHECK(IndicesOf(late.vips.at(kVip)).at(Address("10.0.0.9")) == 1);
}

TEST_CASE("When all indices of a range rest, the range grows instead of refusing the change") {
  DesiredState state = WithReals(kVip, 3);
  const Plan before = PlanOf(state);
  state.vips[kVip].reals.clear();
  for (const auto* real : {"10.0.1.1", "10.0.1.2", "10.0.1.3"}) state.vips[kVip].reals[Address(real)] = {};
  const Plan after = PlanOf(state, before, At(1));
  CHECK(after.vips.at(kVip).entry.real_capacity == 8);
  CHECK(after.vips.at(kVip).reals.begin()->first == 4);
}

TEST_CASE("A full data plane refuses a VIP by name until an id has rested") {
  const Capacities one{.max_vips = 1, .max_reals = 16, .max_flows = 1};
  DesiredState state = WithReals(kVip, 1);
  const Plan before = *TryPlan(state, {}, At(0), one);
  state.vips.clear();
  state.vips[Key("203.0.113.11:80/tcp")] = {};
  const auto at_once = TryPlan(state, before, At(1), one);
  REQUIRE_FALSE(at_once);
  CHECK(at_once.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(at_once.error().message, Catch::Contains("203.0.113.11:80/tcp") && Catch::Contains("--max_vips"));

  DesiredState empty = SmallState();
  const Plan removed = *TryPlan(empty, before, At(1), one);
  CHECK_FALSE(TryPlan(state, removed, At(10), one));
  CHECK(TryPlan(state, removed, At(11), one));
}

TEST_CASE("A real table without a long enough stretch names what it has") {
  const Capacities tight{.max_vips = 4, .max_reals = 10, .max_flows = 1};
  const Plan three = *TryPlan(WithReals(kVip, 3), {}, At(0), tight);
  const auto grown = TryPlan(WithReals(kVip, 4), three, At(1), tight);
  REQUIRE_FALSE(grown);
  CHECK_THAT(grown.error().message,
             Catch::Contains("8 free entries in a row (6 of 10") && Catch::Contains("--max_reals"));
}

TEST_CASE("A VIP whose reals all drain or have no weight has no ring, and they stay in the real table") {
  DesiredState state = WithReals(kVip, 2);
  state.vips[kVip].reals[Address("10.0.0.1")].state = RealState::kDrain;
  state.vips[kVip].reals[Address("10.0.0.2")].weight = 0;
  const PlannedVip vip = PlanOf(state).vips.at(kVip);
  CHECK(vip.entry.ring_slots == 0);
  CHECK(vip.ring->empty());
  CHECK(vip.reals.size() == 2);
}

TEST_CASE("Weights in the same ratio make the same ring, which is shared") {
  DesiredState state = WithReals(kVip, 3);
  const Plan before = PlanOf(state);
  DesiredState doubled = state;
  for (auto& [address, real] : doubled.vips[kVip].reals) real.weight *= 2;
  const auto after = TryPlan(doubled, before, At(1));
  REQUIRE(after);
  CHECK(after->vips.at(kVip).ring == before.vips.at(kVip).ring);
}

TEST_CASE("The outer header takes its source from the prefix of the real's family, or from the next hop") {
  DesiredState state = SmallState();
  state.outer_source.ipv4 = Prefix::Parse("10.9.0.0/16").value();
  state.outer_source.ipv6 = Prefix::Parse("2001:db8:9::/64").value();
  state.defaults.outer_ttl = 9;
  state.vips[kVip].reals[Address("10.0.0.1")] = {};
  state.vips[kVip].reals[Address("2001:db8:7::2")] = {};
  const Plan spread = PlanOf(state);
  for (const auto& [index, real] : spread.vips.at(kVip).reals) {
    const bool ipv4 = real.address.family() == Family::kIpv4;
    REQUIRE(real.outer);
    CHECK(real.outer->next_hop.source == (ipv4 ? Address("10.9.0.0") : Address("2001:db8:9::")));
    CHECK(real.outer->spread_bits == (ipv4 ? 16 : 32));
    CHECK(real.outer->ttl == 9);
  }
  state.outer_source = {};
  const Plan plain = PlanOf(state, spread);
  for (const auto& [index, real] : plain.vips.at(kVip).reals) {
    const bool ipv4 = real.address.family() == Family::kIpv4;
    CHECK(real.outer->next_hop.source == (ipv4 ? Address("10.0.0.1") : Address("2001:db8:7::1")));
    CHECK(real.outer->spread_bits == 0);
  }
}

TEST_CASE("A prefix of one address spreads nothing") {
  DesiredState state = WithReals(kVip, 1);
  state.outer_source.ipv4 = Prefix::Parse("10.9.0.7/32").value();
  const Plan plan = PlanOf(state);
  const OuterHeader outer = plan.vips.at(kVip).reals.at(1).outer.value();
  CHECK(outer.spread_bits == 0);
  CHECK(outer.next_hop.source == Address("10.9.0.7"));
}

TEST_CASE("A real without a next hop stands in the table without an outer header, and in the ring") {
  const DesiredState state = WithReals(kVip, 2);
  NextHopTable next_hops = NextHopsOf(state);
  next_hops.erase(Address("10.0.0.1"));
  next_hops[Address("10.0.0.2")].next_hop->mtu_bytes = 65536;
  const WeightTable weights = WeighVips(state, {}, {}, At(0));
  const auto plan =
      MakePlan({.desired = state, .weights = weights, .next_hops = next_hops, .capacities = kSmall, .now = At(0)}, {});
  REQUIRE(plan);
  const PlannedVip& vip = plan->vips.at(kVip);
  CHECK_FALSE(vip.reals.at(1).outer);
  CHECK(vip.reals.at(2).outer.value().next_hop.mtu_bytes == 65535);
  CHECK(vip.entry.ring_slots == 13);
}

TEST_CASE("A plan tells the data plane how a VIP is tracked and whether it speaks QUIC") {
  DesiredState state = WithReals(Key("203.0.113.10:443/udp"), 1);
  CHECK(PlanOf(state).vips.begin()->second.entry.tracking == Tracking::kMoving);
  state.vips.begin()->second.tracking = Tracking::kAll;
  state.vips.begin()->second.quic = true;
  CHECK(PlanOf(state).vips.begin()->second.entry.tracking == Tracking::kAll);
  CHECK(PlanOf(state).vips.begin()->second.entry.quic);
}

TEST_CASE("A drained real that goes changes the slots that still name it, though the ring's members stay") {
  DesiredState state = WithReals(kVip, 3);
  const Plan whole = PlanOf(state);
  state.vips[kVip].reals[Address("10.0.0.1")].state = RealState::kDrain;
  const Plan drained = PlanOf(state, whole, At(1));
  REQUIRE_FALSE(drained.vips.at(kVip).unsettled.empty());
  state.vips[kVip].reals.erase(Address("10.0.0.1"));
  const auto gone = TryPlan(state, drained, At(2));
  REQUIRE(gone);
  const PlannedVip& vip = gone->vips.at(kVip);
  for (const UnsettledSlot& unsettled : vip.unsettled) {
    CHECK(unsettled.changed_at == At(2));
    CHECK((*vip.ring)[unsettled.slot].previous_real == (*vip.ring)[unsettled.slot].current_real);
  }
}

TEST_CASE("Changes that move flows say so by the VIP's name, and others say nothing") {
  const DesiredState state = WithReals(kVip, 3);
  const Plan before = PlanOf(state);
  DesiredState wanted = state;
  wanted.vips[kVip].reals[Address("10.0.0.1")].state = RealState::kDrain;
  const Plan moving = PlanOf(wanted, before);
  CHECK(MovedFlows(before, moving).empty());
  const auto lines_of = [&](const auto& change, const Plan& from) {
    DesiredState changed = wanted;
    change(changed);
    return MovedFlows(from, PlanOf(changed, from));
  };
  const auto resize = [](DesiredState& changed) { changed.vips[kVip].ring_size = 17; };
  const auto rekey = [](DesiredState& changed) { changed.hash_key[0] ^= 1; };
  const auto forget = [](DesiredState& changed) { changed.defaults.tracking = Tracking::kNone; };
  REQUIRE(lines_of(resize, before).size() == 1);
  CHECK_THAT(lines_of(resize, before)[0], Catch::Contains(kVip.ToString()) && Catch::Contains("ring size"));
  REQUIRE(lines_of(rekey, before).size() == 1);
  CHECK_THAT(lines_of(rekey, before)[0], Catch::Contains("hash key"));
  CHECK(lines_of(forget, before).empty());
  REQUIRE(lines_of(forget, moving).size() == 1);
  CHECK_THAT(lines_of(forget, moving)[0], Catch::Contains("tracking"));
}

TEST_CASE("VIPs of one store have hash keys of their own, which follow from the store's") {
  DesiredState state = WithReals(kVip, 1);
  state.vips[Key("203.0.113.10:443/udp")] = {};
  const Plan plan = PlanOf(state);
  CHECK(plan.vips.at(kVip).entry.flow_hash_key != plan.vips.at(Key("203.0.113.10:443/udp")).entry.flow_hash_key);
  CHECK(plan.vips.at(kVip).entry.flow_hash_key == PlanOf(state).vips.at(kVip).entry.flow_hash_key);
  state.hash_key[0] ^= 1;
  CHECK(plan.vips.at(kVip).entry.flow_hash_key != PlanOf(state).vips.at(kVip).entry.flow_hash_key);
}

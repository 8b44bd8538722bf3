// SPDX-License-Identifier: Apache-2.0
// What time does to slots and to remembered flows, one rule at a time.
#include "userspace/control/settling.h"

#include <shunt/abi_limits.h>

#include <catch2/catch.hpp>
#include <vector>

#include "tests/unit/control_testing.h"
#include "userspace/dataplane/flow_hash.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::seconds;

const VipKey kTcp = Key("203.0.113.10:443/tcp");
const VipKey kUdp = Key("203.0.113.10:443/udp");
const VipSettings kSettings{.udp_idle_seconds = 60, .tcp_settle_seconds = 600};
const SettleTimes kTimes = TimesOf(kTcp, kSettings, false);

SteadyTime At(int second) { return SteadyTime() + seconds(second); }

RingSlot Slot(uint16_t current, uint16_t previous = 0, bool hold = false) {
  return {.current_real = current, .previous_real = previous, .hold = hold};
}

// Changed at second 100; its reals are 1, 2 and 3.
PlannedVip VipWith(Ring ring) {
  PlannedVip vip;
  vip.entry = {.id = 1,
               .tracking = Tracking::kMoving,
               .quic = false,
               .real_base = 0,
               .real_capacity = 4,
               .ring_slots = static_cast<uint32_t>(ring.size()),
               .flow_hash_key = {1, 2}};
  vip.unsettled = UnsettledOf(ring, At(100));
  vip.ring = std::make_shared<const Ring>(std::move(ring));
  for (uint16_t index = 1; index <= 3; ++index) vip.reals[index] = {};
  return vip;
}

// The one slot of a ring after `inputs`.
RingSlot Settled(const RingSlot& slot, const SettleInputs& inputs) {
  const auto changes = SettleSlots(kTcp, VipWith({slot}), inputs);
  return changes ? (*changes->ring)[0] : slot;
}

FlowEntry EntryOf(uint16_t real_index, uint32_t idle_seconds = 0, bool confirmed = true) {
  return {.ref = {},
          .flow = {.vip_id = 1,
                   .source = {Address("198.51.100.7"), 40000},
                   .destination_port = 443,
                   .real_index = real_index},
          .idle_seconds = idle_seconds,
          .confirmed = confirmed};
}

bool Drops(const FlowEntry& entry, const PlannedVip& vip, const SettleTimes& times = kTimes) {
  return JudgeEntry(entry, vip, times, At(200)).drop;
}

}  // namespace

TEST_CASE("The times that the program knows as well are the same") {
  CHECK(kOpeningHold.count() == SHUNT_SYN_HOLD_SECONDS);
  CHECK(kBriefIdle.count() == SHUNT_BRIEF_FLOW_SECONDS);
  CHECK(kStampLag.count() == SHUNT_FLOW_STAMP_LAG_SECONDS);
}

TEST_CASE("A hold ends after four seconds, but that of plain UDP with the move") {
  const RingSlot held = Slot(2, 1, true);
  CHECK(Settled(held, {.times = kTimes, .last_refusal = {}, .now = At(103)}) == held);
  CHECK(Settled(held, {.times = kTimes, .last_refusal = {}, .now = At(104)}) == Slot(2, 1));
  const SettleTimes udp = TimesOf(kUdp, kSettings, false);
  CHECK(Settled(held, {.times = udp, .last_refusal = {}, .now = At(159)}) == held);
  CHECK(Settled(held, {.times = udp, .last_refusal = {}, .now = At(160)}) == Slot(2, 2));
  const SettleTimes quic = TimesOf(kUdp, kSettings, true);
  CHECK(Settled(held, {.times = quic, .last_refusal = {}, .now = At(104)}) == Slot(2, 1));
  CHECK(Settled(held, {.times = quic, .last_refusal = {}, .now = At(160)}) == Slot(2, 2));
}

TEST_CASE("A slot settles once its time has passed since the change and since the last refusal") {
  CHECK(Settled(Slot(2, 1), {.times = kTimes, .last_refusal = {}, .now = At(699)}) == Slot(2, 1));
  CHECK(Settled(Slot(2, 1), {.times = kTimes, .last_refusal = {}, .now = At(700)}) == Slot(2, 2));
  CHECK(Settled(Slot(2, 1), {.times = kTimes, .last_refusal = At(150), .now = At(749)}) == Slot(2, 1));
  CHECK(Settled(Slot(2, 1), {.times = kTimes, .last_refusal = At(150), .now = At(750)}) == Slot(2, 2));
  CHECK(Settled(Slot(2, 1), {.times = kTimes, .last_refusal = At(50), .now = At(700)}) == Slot(2, 2));
}

TEST_CASE("No slot settles before its hold is over") {
  const SettleTimes times = TimesOf(kTcp, {.udp_idle_seconds = 1, .tcp_settle_seconds = 1}, false);
  CHECK(Settled(Slot(2, 1, true), {.times = times, .last_refusal = {}, .now = At(103)}) == Slot(2, 1, true));
  CHECK(Settled(Slot(2, 1, true), {.times = times, .last_refusal = {}, .now = At(104)}) == Slot(2, 2));
}

TEST_CASE("A slot without a current real never settles by time") {
  CHECK(Settled(Slot(0, 1), {.times = kTimes, .last_refusal = {}, .now = At(100000)}) == Slot(0, 1));
}

TEST_CASE("A settled slot becomes stable by a pass that began after it settled and found no exception of it") {
  PassResult pass{.begun = At(101), .exceptions = {}};
  const SettleInputs inputs{.times = kTimes, .last_refusal = {}, .now = At(102), .pass = &pass};
  CHECK(Settled(Slot(2, 2), inputs) == Slot(2));
  pass.begun = At(100);
  CHECK(Settled(Slot(2, 2), inputs) == Slot(2, 2));
  pass = {.begun = At(101), .exceptions = {0}};
  CHECK(Settled(Slot(2, 2), inputs) == Slot(2, 2));
  CHECK(Settled(Slot(2, 2), {.times = kTimes, .last_refusal = {}, .now = At(100000)}) == Slot(2, 2));
}

TEST_CASE("What settles is told slot by slot, with the times of the others kept") {
  PlannedVip vip = VipWith({Slot(1), Slot(2, 1, true), Slot(2, 2), Slot(3, 1)});
  vip.unsettled[2].changed_at = At(50);
  const PassResult pass{.begun = At(101), .exceptions = {}};
  const auto changes = SettleSlots(kTcp, vip, {.times = kTimes, .last_refusal = {}, .now = At(650), .pass = &pass});
  REQUIRE(changes);
  CHECK(changes->vip_id == 1);
  CHECK(*changes->ring == Ring{Slot(1), Slot(2, 1), Slot(2), Slot(3, 3)});
  CHECK(changes->slots == std::vector<uint32_t>{1, 2, 3});
  CHECK(changes->unsettled == std::vector<UnsettledSlot>{{1, At(100)}, {3, At(650)}});
  CHECK_FALSE(SettleSlots(kTcp, vip, {.times = kTimes, .last_refusal = {}, .now = At(101)}));
}

TEST_CASE("A remembered flow goes when it surely was silent for longer than its time") {
  const PlannedVip vip = VipWith({Slot(2, 1)});
  CHECK_FALSE(Drops(EntryOf(1, 604), vip));
  CHECK(Drops(EntryOf(1, 605), vip));
  CHECK_FALSE(Drops(EntryOf(1, 34, false), vip));
  CHECK(Drops(EntryOf(1, 35, false), vip));
  FlowEntry closing = EntryOf(1, 34);
  closing.closing = true;
  CHECK_FALSE(Drops(closing, vip));
  closing.idle_seconds = 35;
  CHECK(Drops(closing, vip));
  const SettleTimes udp = TimesOf(kUdp, kSettings, false);
  CHECK_FALSE(Drops(EntryOf(1, 64, false), vip, udp));
  CHECK(Drops(EntryOf(1, 65), vip, udp));
}

TEST_CASE("Entries that nobody needs go: of a gone real, of a stable slot, those that a settled slot serves anyway") {
  CHECK(Drops(EntryOf(4), VipWith({Slot(2, 1)})));
  CHECK_FALSE(Drops(EntryOf(2), VipWith({Slot(2, 1)})));
  CHECK_FALSE(Drops(EntryOf(1), VipWith({Slot(0, 1)})));
  CHECK(Drops(EntryOf(2), VipWith({Slot(2)})));
  CHECK(Drops(EntryOf(1), VipWith({Slot(2)})));
  CHECK(Drops(EntryOf(2), VipWith({Slot(2, 2)})));
  CHECK_FALSE(Drops(EntryOf(1), VipWith({Slot(2, 2)})));
  PlannedVip none = VipWith({Slot(2)});
  none.entry.tracking = Tracking::kNone;
  CHECK(Drops(EntryOf(2), none));
  PlannedVip all = VipWith({Slot(2)});
  all.entry.tracking = Tracking::kAll;
  CHECK_FALSE(Drops(EntryOf(2), all));
  CHECK(Drops(EntryOf(2, 605), all));
}

TEST_CASE("An entry that a settled slot serves anyway stays while packets may be under way that met the slot before") {
  const PlannedVip vip = VipWith({Slot(2, 2)});
  CHECK_FALSE(JudgeEntry(EntryOf(2), vip, kTimes, At(100)).drop);
  CHECK(JudgeEntry(EntryOf(2), vip, kTimes, At(101)).drop);
}

TEST_CASE("An entry of a real that is down goes, whatever state its slot is in") {
  for (const RingSlot& slot : {Slot(2, 1), Slot(2, 2)}) {
    PlannedVip vip = VipWith({slot});
    CHECK_FALSE(Drops(EntryOf(1), vip));
    vip.reals.at(1).serves = false;
    CHECK(Drops(EntryOf(1), vip));
  }
}

TEST_CASE("An entry is an exception of its flow's slot, even when it is about to go") {
  Ring ring;
  for (int i = 0; i < 7; ++i) ring.push_back(Slot(2, 2));
  const PlannedVip vip = VipWith(ring);
  const FlowEntry entry = EntryOf(1, 605);
  const uint32_t slot = SlotOf(FlowHash(vip.entry.flow_hash_key, entry.flow.source, entry.flow.destination_port), 7);
  CHECK(JudgeEntry(entry, vip, kTimes, At(200)).exception == slot);
  CHECK(JudgeEntry(entry, vip, kTimes, At(200)).drop);
  CHECK_FALSE(JudgeEntry(EntryOf(2), vip, kTimes, At(200)).exception);
}

TEST_CASE("Progress counts slots by state and tells when the last one settles") {
  PlannedVip vip = VipWith({Slot(1), Slot(2, 1, true), Slot(2, 2), Slot(3, 1), Slot(0, 1)});
  vip.unsettled[0].changed_at = At(120);
  const SlotProgress progress = ProgressOf(vip, kTimes, std::nullopt, At(130));
  CHECK(progress.stable == 1);
  CHECK(progress.moving == 3);
  CHECK(progress.with_exceptions == 1);
  CHECK(progress.settles_in == seconds(590));
  CHECK(ProgressOf(vip, kTimes, At(125), At(130)).settles_in == seconds(595));
  CHECK_FALSE(ProgressOf(VipWith({Slot(2, 2), Slot(0, 1)}), kTimes, std::nullopt, At(130)).settles_in);
}

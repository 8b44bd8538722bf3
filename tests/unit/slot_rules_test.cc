// SPDX-License-Identifier: Apache-2.0
// What becomes of slots when their ring changes: every row of the table in tracking.md, and whole rings.
#include "userspace/control/slot_rules.h"

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

using namespace shunt;  // NOLINT: the tests read like the code

namespace {

constexpr bool kHold = true;

SteadyTime At(int seconds) { return SteadyTime() + std::chrono::seconds(seconds); }

RingSlot Slot(uint16_t current, uint16_t previous = 0, bool hold = false) {
  return {.current_real = current, .previous_real = previous, .hold = hold};
}

std::string Text(const RingSlot& slot) {
  return "{" + std::to_string(slot.current_real) + "," + std::to_string(slot.previous_real) +
         (slot.hold ? ",hold}" : "}");
}

ServingReals Serving(const std::vector<uint16_t>& indices) {
  std::map<uint16_t, RealEntry> reals;
  for (const uint16_t index : indices) reals[index] = {};
  return ServingReals(reals);
}

struct Row {
  RingSlot before;
  uint16_t current;
  std::vector<uint16_t> serving;
  RingSlot after;
};

void Check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    INFO(Text(row.before) << " to " << row.current);
    CHECK(Text(ChangeSlot(row.before, row.current, Serving(row.serving))) == Text(row.after));
  }
}

PlannedVip VipWith(Ring ring, Tracking tracking = Tracking::kMoving, int changed_at = 1) {
  PlannedVip vip;
  vip.entry.tracking = tracking;
  vip.entry.ring_slots = static_cast<uint32_t>(ring.size());
  vip.unsettled = UnsettledOf(ring, At(changed_at));
  vip.ring = std::make_shared<const Ring>(std::move(ring));
  return vip;
}

struct Wanted {
  std::vector<uint16_t> current_reals;
  std::vector<uint16_t> serving{1, 2, 3};
  Tracking tracking = Tracking::kMoving;
  FlowHashKey flow_hash_key{};
};

RingState Change(const PlannedVip* before, const Wanted& wanted) {
  const ServingReals serving = Serving(wanted.serving);
  return ChangeRing(before, {.current_reals = wanted.current_reals,
                             .serving = serving,
                             .tracking = wanted.tracking,
                             .flow_hash_key = wanted.flow_hash_key,
                             .ring_size = 5,
                             .now = At(9)});
}

}  // namespace

TEST_CASE("A slot whose current real stays is left alone, whatever its state") {
  Check({{Slot(1), 1, {1, 2}, Slot(1)},
         {Slot(1, 1), 1, {1, 2}, Slot(1, 1)},
         {Slot(1, 2), 1, {1, 2}, Slot(1, 2)},
         {Slot(1, 2, kHold), 1, {1, 2}, Slot(1, 2, kHold)},
         {Slot(0, 2), 0, {2}, Slot(0, 2)},
         {Slot(0), 0, {2}, Slot(0)}});
}

TEST_CASE("A stable or settled slot moves from its current real, which has the flows nobody remembers") {
  Check({{Slot(1), 2, {1, 2}, Slot(2, 1, kHold)}, {Slot(1, 1), 2, {1, 2}, Slot(2, 1, kHold)}});
}

TEST_CASE("A current real that serves no more leaves nothing behind but what is remembered") {
  Check({{Slot(1), 2, {2}, Slot(2)}, {Slot(1, 1), 2, {2}, Slot(2, 2)}, {Slot(1, 3), 2, {2, 3}, Slot(2, 3, kHold)}});
}

TEST_CASE("A slot that moves keeps its previous real, for the current one's flows are all remembered") {
  Check({{Slot(1, 2), 3, {1, 2, 3}, Slot(3, 2, kHold)},
         {Slot(1, 2, kHold), 3, {1, 2, 3}, Slot(3, 2, kHold)},
         {Slot(1, 2), 2, {1, 2}, Slot(2, 2)},
         {Slot(1, 2, kHold), 2, {1, 2}, Slot(2, 2)}});
}

TEST_CASE("A previous real that serves no more is replaced by the current one first") {
  Check({{Slot(1, 2), 1, {1}, Slot(1, 1)},
         {Slot(1, 2, kHold), 1, {1}, Slot(1, 1)},
         {Slot(1, 2), 3, {1, 3}, Slot(3, 1, kHold)},
         {Slot(1, 2), 3, {3}, Slot(3, 3)}});
}

TEST_CASE("Where no real takes new flows, old ones stay with the real that has them") {
  Check({{Slot(1), 0, {1}, Slot(0, 1)},
         {Slot(1, 1), 0, {1}, Slot(0, 1)},
         {Slot(1, 2), 0, {1, 2}, Slot(0, 2)},
         {Slot(1, 2, kHold), 0, {1, 2}, Slot(0, 2)},
         {Slot(1), 0, {2}, Slot(0)},
         {Slot(0, 1), 2, {1, 2}, Slot(2, 1, kHold)},
         {Slot(0, 1), 1, {1}, Slot(1, 1)},
         {Slot(0), 1, {1}, Slot(1)}});
}

TEST_CASE("A slot that may have remembered flows keeps being asked for them though nobody takes new ones") {
  Check({{Slot(0, 1), 0, {3, 2}, Slot(0, 2)},
         {Slot(1, 1), 0, {2}, Slot(0, 2)},
         {Slot(1, 2), 0, {3}, Slot(0, 3)},
         {Slot(0, 1), 2, {2, 3}, Slot(2, 2)},
         {Slot(1, 1), 0, {}, Slot(0)}});
}

TEST_CASE("A new ring is stable") {
  const RingState state = Change(nullptr, {.current_reals = {1, 2, 1, 2, 1}});
  CHECK(*state.ring == Ring{Slot(1), Slot(2), Slot(1), Slot(2), Slot(1)});
  CHECK(state.unsettled.empty());
  CHECK(Change(nullptr, {.current_reals = {}}).ring->empty());
}

TEST_CASE("Only slots that change get a new time, and a ring that does not change is shared") {
  const PlannedVip before = VipWith({Slot(1), Slot(1), Slot(2, 1), Slot(2, 1), Slot(3, 3)});
  const RingState state = Change(&before, {.current_reals = {1, 2, 2, 3, 3}});
  CHECK(*state.ring == Ring{Slot(1), Slot(2, 1, kHold), Slot(2, 1), Slot(3, 1, kHold), Slot(3, 3)});
  CHECK(state.unsettled == std::vector<UnsettledSlot>{{1, At(9)}, {2, At(1)}, {3, At(9)}, {4, At(1)}});
  CHECK(Change(&before, {.current_reals = {1, 1, 2, 2, 3}}).ring == before.ring);
}

TEST_CASE("Without tracking, and with all flows tracked, slots have no previous real") {
  const PlannedVip before = VipWith({Slot(1, 2), Slot(2), Slot(0, 1), Slot(2, 2), Slot(1)});
  for (const Tracking tracking : {Tracking::kNone, Tracking::kAll}) {
    const RingState state = Change(&before, {.current_reals = {3, 3, 3, 3, 1}, .tracking = tracking});
    CHECK(*state.ring == Ring{Slot(3), Slot(3), Slot(3), Slot(3), Slot(1)});
    CHECK(state.unsettled.empty());
    CHECK(Change(&before, {.current_reals = {}, .tracking = tracking}).ring->empty());
  }
}

TEST_CASE("After tracking all, remembered flows of every slot may go anywhere") {
  const PlannedVip before = VipWith({Slot(1), Slot(1), Slot(1), Slot(1), Slot(1)}, Tracking::kAll);
  CHECK(*Change(&before, {.current_reals = {1, 2, 1, 2, 1}}).ring ==
        Ring{Slot(1, 1), Slot(2, 2), Slot(1, 1), Slot(2, 2), Slot(1, 1)});
  CHECK(*Change(&before, {.current_reals = {}}).ring == Ring(5, Slot(0, 1)));
  const PlannedVip empty = VipWith({}, Tracking::kAll);
  CHECK(*Change(&empty, {.current_reals = {}}).ring == Ring(5, Slot(0, 1)));
  CHECK(Change(&empty, {.current_reals = {}, .serving = {}}).ring->empty());
}

TEST_CASE("Without tracking before, slots begin to move as stable ones do") {
  const PlannedVip before = VipWith({Slot(1), Slot(1)}, Tracking::kNone);
  CHECK(*Change(&before, {.current_reals = {1, 2}}).ring == Ring{Slot(1), Slot(2, 1, kHold)});
}

TEST_CASE("A ring of another size or by another hash key keeps what is remembered and nothing else") {
  const PlannedVip stable = VipWith({Slot(1), Slot(2), Slot(1)});
  const PlannedVip moving = VipWith({Slot(1), Slot(2, 1), Slot(1)});
  const FlowHashKey other{7, 7};
  CHECK(*Change(&stable, {.current_reals = {2, 2}}).ring == Ring(2, Slot(2)));
  CHECK(*Change(&moving, {.current_reals = {2, 2}}).ring == Ring(2, Slot(2, 2)));
  CHECK(*Change(&stable, {.current_reals = {2, 2, 2}, .flow_hash_key = other}).ring == Ring(3, Slot(2)));
  CHECK(*Change(&moving, {.current_reals = {2, 2, 2}, .flow_hash_key = other}).ring == Ring(3, Slot(2, 2)));
  CHECK(*Change(&stable, {.current_reals = {}, .flow_hash_key = other}).ring == Ring(3, Slot(0, 1)));
}

TEST_CASE("A ring without members keeps its size as long as some real serves") {
  const PlannedVip before = VipWith({Slot(1), Slot(2), Slot(1)});
  CHECK(*Change(&before, {.current_reals = {}}).ring == Ring{Slot(0, 1), Slot(0, 2), Slot(0, 1)});
  CHECK(Change(&before, {.current_reals = {}, .serving = {}}).ring->empty());
}

// SPDX-License-Identifier: Apache-2.0
// Prefixes that come and go: losses at once, the way back later each time, and what is no flap.
#include "userspace/bgp/hold_down.h"

#include <catch2/catch.hpp>

using namespace shunt;  // NOLINT: the tests read like the code

namespace {

using std::chrono::seconds;
constexpr auto kAnnounced = Announcing::kAnnounced, kLowered = Announcing::kLowered,
               kWithdrawn = Announcing::kWithdrawn;

struct OnePrefix {
  explicit OnePrefix(Announcing begins = kWithdrawn) : hold(begins) {}

  Announcing Want(Announcing wanted, bool planned = false) { return hold.Follow(wanted, planned, times, now); }
  void Lose() { REQUIRE(Want(kWithdrawn) == kWithdrawn); }
  // Seconds from now until it is announced, if nothing changes.
  int64_t ComesBackAfter() {
    const SteadyTime from = now;
    while (Want(kAnnounced) != kAnnounced) {
      REQUIRE(hold.held_until());
      REQUIRE(*hold.held_until() > now);
      now = *hold.held_until();
    }
    CHECK_FALSE(hold.held_until());
    return std::chrono::duration_cast<seconds>(now - from).count();
  }

  HoldDown::Times times{.hold = seconds(5), .max = seconds(60)};
  SteadyTime now = SteadyTime() + seconds(1000);
  HoldDown hold;
};

}  // namespace

TEST_CASE("What was never lost is announced at once") {
  OnePrefix prefix;
  CHECK(prefix.ComesBackAfter() == 0);
}

TEST_CASE("Each loss that follows soon doubles the time to the next announcement, up to the longest") {
  OnePrefix prefix(kAnnounced);
  for (const int64_t expected : {5, 10, 20, 40, 60, 60}) {
    prefix.Lose();
    CHECK(prefix.ComesBackAfter() == expected);
    prefix.now += seconds(1);
  }
}

TEST_CASE("The time runs from the loss, and a loss is never held back") {
  OnePrefix prefix(kAnnounced);
  prefix.Lose();
  prefix.now += seconds(4);
  CHECK(prefix.ComesBackAfter() == 1);
  prefix.Lose();
}

TEST_CASE("What was announced for the longest time begins anew") {
  OnePrefix prefix(kAnnounced);
  for (int i = 0; i < 3; ++i) {
    prefix.Lose();
    prefix.ComesBackAfter();
  }
  prefix.now += seconds(59);
  prefix.Lose();
  CHECK(prefix.ComesBackAfter() == 40);
  prefix.now += seconds(60);
  prefix.Lose();
  CHECK(prefix.ComesBackAfter() == 5);
}

TEST_CASE("A loss that was planned is no flap, nor does it shorten what is held back") {
  OnePrefix prefix(kAnnounced);
  CHECK(prefix.Want(kWithdrawn, true) == kWithdrawn);
  CHECK(prefix.ComesBackAfter() == 0);
  prefix.Lose();
  CHECK(prefix.Want(kWithdrawn, true) == kWithdrawn);
  CHECK(prefix.ComesBackAfter() == 5);
  CHECK(prefix.Want(kWithdrawn, true) == kWithdrawn);
  CHECK(prefix.ComesBackAfter() == 0);
}

TEST_CASE("To be lowered is a loss, and to be less than that another step of the same one") {
  OnePrefix prefix(kAnnounced);
  CHECK(prefix.Want(kLowered) == kLowered);
  CHECK(prefix.Want(kAnnounced) == kLowered);
  CHECK(prefix.hold.held_until() == prefix.now + seconds(5));
  CHECK(prefix.ComesBackAfter() == 5);
  prefix.now += seconds(1);
  CHECK(prefix.Want(kLowered) == kLowered);
  prefix.now += seconds(1);
  CHECK(prefix.Want(kWithdrawn) == kWithdrawn);
  CHECK(prefix.ComesBackAfter() == 10);  // not 20: it has not been back in between
}

TEST_CASE("Without a hold time nothing is held back") {
  OnePrefix prefix(kAnnounced);
  prefix.times = {};
  for (int i = 0; i < 3; ++i) {
    prefix.Lose();
    CHECK(prefix.ComesBackAfter() == 0);
  }
}

TEST_CASE("Nothing is held back any more once it is not wanted") {
  OnePrefix prefix(kAnnounced);
  prefix.Lose();
  CHECK(prefix.Want(kAnnounced) == kWithdrawn);
  CHECK(prefix.hold.held_until());
  CHECK(prefix.Want(kWithdrawn) == kWithdrawn);
  CHECK_FALSE(prefix.hold.held_until());
}

// SPDX-License-Identifier: Apache-2.0
//
// The fast matching of maglev/matching.cc against a slow transcription of its definition, and the parts it stands on:
// walks, visit times, shares, the placing of what rounding leaves over.
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

#include "maglev/matching.h"
#include "maglev/remainder.h"
#include "maglev/ring.h"
#include "maglev/shares.h"
#include "maglev/walk.h"

namespace shunt::maglev {
namespace {

// All visits of all reals in the order of time; each takes its slot if that is free and the real still wants one.
std::vector<uint16_t> SlowMatching(const std::vector<Contender>& contenders, uint32_t ring_size) {
  VisitTimes times(ring_size);
  times.ExtendTo(VisitTimes::kNever);
  std::vector<std::tuple<uint64_t, uint16_t, uint32_t>> visits;
  std::vector<uint32_t> missing;
  for (const Contender& contender : contenders) {
    const Walk walk = MakeWalk(contender.id_hash, contender.weight, ring_size);
    const auto position = static_cast<uint16_t>(missing.size());
    missing.push_back(contender.share);
    for (uint32_t k = 0; k < ring_size; ++k) {
      const auto slot = static_cast<uint32_t>((walk.first_slot + uint64_t{k} * walk.stride) % ring_size);
      visits.emplace_back(MomentOf(walk, times[k]), position, slot);
    }
  }
  std::sort(visits.begin(), visits.end());  // no real makes two visits at one moment
  std::vector<uint16_t> owners(ring_size, kNoReal);
  for (const auto& [moment, position, slot] : visits) {
    if (owners[slot] != kNoReal || missing[position] == 0) continue;
    owners[slot] = position;
    --missing[position];
  }
  return owners;
}

// Reals of random weights, with shares that leave `left_over` slots.
std::vector<Contender> RandomContenders(std::mt19937_64& random, uint32_t count, uint32_t heaviest,
                                        uint32_t ring_size) {
  std::vector<Contender> contenders;
  std::vector<uint32_t> weights;
  for (uint32_t i = 0; i < count; ++i) weights.push_back(1 + static_cast<uint32_t>(random() % heaviest));
  const std::vector<Share> shares = ExactShares(weights, ring_size);
  for (uint32_t i = 0; i < count; ++i) contenders.push_back({random(), weights[i], shares[i].slots});
  return contenders;
}

TEST_CASE("the fast matching is the one that the definition gives", "[maglev]") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const uint32_t ring_size = std::vector<uint32_t>{2, 3, 7, 61, 251, 1021, 2039}[random() % 7];
    const uint32_t heaviest = std::vector<uint32_t>{1, 2, 10, 65535}[random() % 4];
    const auto count = static_cast<uint32_t>(1 + random() % std::min(ring_size, 60u));
    const std::vector<Contender> contenders = RandomContenders(random, count, heaviest, ring_size);
    REQUIRE(MatchSlots(contenders, ring_size) == SlowMatching(contenders, ring_size));
  }
}

TEST_CASE("the matching needs no slot to be left over, and takes any shares", "[maglev]") {
  std::mt19937_64 random(2);
  for (int round = 0; round < 60; ++round) {
    std::vector<Contender> contenders = RandomContenders(random, 20, 5, 509);
    uint32_t left = 509;
    for (Contender& contender : contenders) {
      contender.share = static_cast<uint32_t>(random() % (left + 1));
      left -= contender.share;
    }
    if (round % 2 == 0) contenders[0].share += left;
    REQUIRE(MatchSlots(contenders, 509) == SlowMatching(contenders, 509));
  }
}

TEST_CASE("reals whose visits fall on the same moments are told apart by their positions", "[maglev]") {
  std::vector<Contender> contenders;
  for (int i = 0; i < 5; ++i) contenders.push_back({42, 1, 200});  // one hash: one walk
  CHECK(MatchSlots(contenders, 1021) == SlowMatching(contenders, 1021));
}

TEST_CASE("rings so large that slots are fetched ahead are matched alike", "[maglev]") {
  std::mt19937_64 random(3);
  const std::vector<Contender> contenders = RandomContenders(random, 3, 4, 262147);
  CHECK(MatchSlots(contenders, 262147) == SlowMatching(contenders, 262147));
}

TEST_CASE("a walk visits every slot once, at times that only grow", "[maglev]") {
  for (const uint32_t ring_size : {2u, 3u, 251u, 65537u}) {
    VisitTimes times(ring_size);
    times.ExtendTo(VisitTimes::kNever);
    const Walk walk = MakeWalk(HashId({1, 2, 3}), 7, ring_size);
    std::vector<bool> seen(ring_size);
    uint64_t slot = walk.first_slot;
    for (uint32_t k = 0; k < ring_size; ++k) {
      REQUIRE_FALSE(seen[slot]);
      seen[slot] = true;
      slot = (slot + walk.stride) % ring_size;
      REQUIRE(times[k] < times[k + 1]);
    }
    CHECK(times[ring_size] == VisitTimes::kNever);
  }
}

TEST_CASE("the visit time at a moment is the first that is not before it", "[maglev]") {
  std::mt19937_64 random(4);
  for (int round = 0; round < 2000; ++round) {
    const Walk walk = MakeWalk(random(), 1 + static_cast<uint32_t>(random() % 65535), 65537);
    const uint64_t moment = random() >> (17 + random() % 40);
    const uint32_t time = VisitTimeAt(walk, moment);
    if (time != VisitTimes::kNever) REQUIRE(MomentOf(walk, time) >= moment);
    if (time != 0) REQUIRE(MomentOf(walk, time - 1) < moment);
  }
  CHECK(VisitTimeAt(MakeWalk(1, 1, 65537), UINT64_MAX) == VisitTimes::kNever);
}

TEST_CASE("shares are rounded down and what is left over is less than the reals that may grow", "[maglev]") {
  std::mt19937_64 random(5);
  for (int round = 0; round < 500; ++round) {
    const uint32_t ring_size = std::vector<uint32_t>{7, 251, 65537}[random() % 3];
    std::vector<uint32_t> weights;
    for (uint64_t i = 1 + random() % std::min(ring_size, 300u); i != 0; --i) {
      weights.push_back(1 + static_cast<uint32_t>(random() >> (48 + random() % 16)) % 65535);
    }
    uint64_t slots = 0;
    uint64_t may_grow = 0;
    for (const Share& share : ExactShares(weights, ring_size)) {
      slots += share.slots;
      may_grow += share.may_grow;
      if (share.may_grow) REQUIRE(share.slots != 0);
    }
    REQUIRE(slots <= ring_size);
    if (slots != ring_size) REQUIRE(ring_size - slots < may_grow);
  }
}

TEST_CASE("every slot that is left over goes to a real that may grow, each once", "[maglev]") {
  // Real 0 owns nearly all and may not grow, so random looks rarely find one that may.
  std::vector<uint16_t> owners(65537, 0);
  for (uint16_t i = 1; i <= 6; ++i) owners[1000 * i] = i;
  const std::vector<uint32_t> left_over = {5, 77, 30000, 65536};
  for (const uint32_t slot : left_over) owners[slot] = kNoReal;
  PlaceRemainder(owners, {false, true, true, true, false, true, true});
  std::vector<uint16_t> found;
  for (const uint32_t slot : left_over) found.push_back(owners[slot]);
  std::sort(found.begin(), found.end());
  CHECK(std::adjacent_find(found.begin(), found.end()) == found.end());
  for (const uint16_t owner : found) CHECK((owner >= 1 && owner <= 6 && owner != 4));
}

}  // namespace
}  // namespace shunt::maglev

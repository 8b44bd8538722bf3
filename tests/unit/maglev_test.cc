// SPDX-License-Identifier: Apache-2.0
//
// The promises of maglev/ring.h: exact shares, no dependence on order, small disruption, a fixed layout, clear errors.
// The fast matching is compared with a slow transcription of its definition in maglev_matching_test.cc.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "maglev/ring.h"
#include "tests/unit/maglev_paper.h"

namespace shunt::maglev {
namespace {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(engine_() % limit); }

 private:
  std::mt19937 engine_;
};

using Ring = std::vector<uint16_t>;
using Reals = std::vector<Real>;

Real V4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint32_t weight) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, weight};
}

Reals EqualReals(uint32_t count, uint32_t weight = 10) {
  Reals reals;
  for (uint32_t i = 0; i < count; ++i) {
    reals.push_back(
        V4(10, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i), weight));
  }
  return reals;
}

// Random ids, half of them IPv6; weights 0 to `heaviest`, the first at least 1.
Reals RandomReals(Random& random, uint32_t count, uint32_t heaviest) {
  Reals reals = EqualReals(count);
  for (Real& real : reals) {
    if (random.Below(2) == 0) real.id[0] = 0x20;
    real.id[5] = static_cast<uint8_t>(random.Below(256));
    real.weight = random.Below(heaviest + 1);
  }
  reals[0].weight = std::max(1u, reals[0].weight);
  return reals;
}

Ring Built(const Reals& reals, uint32_t ring_size) {
  auto ring = BuildRing(reals, ring_size);
  if (!ring) FAIL(ring.error());
  return *std::move(ring);
}

std::string ErrorOf(const Reals& reals, uint32_t ring_size) {
  const auto ring = BuildRing(reals, ring_size);
  return ring ? "no error" : ring.error();
}

std::vector<uint32_t> SlotsOf(const Ring& ring, size_t reals) {
  std::vector<uint32_t> slots(reals);
  for (const uint16_t owner : ring) ++slots.at(owner);
  return slots;
}

uint64_t WeightSum(const Reals& reals) {
  return std::accumulate(reals.begin(), reals.end(), uint64_t{0},
                         [](uint64_t sum, const Real& real) { return sum + real.weight; });
}

void CheckExactShares(const Reals& reals, const Ring& ring) {
  const uint64_t sum = WeightSum(reals);
  const std::vector<uint32_t> slots = SlotsOf(ring, reals.size());
  for (size_t i = 0; i < reals.size(); ++i) {
    // |slots - weight * ring_size / sum| < 1, without a division
    const auto exact = static_cast<int64_t>(reals[i].weight * ring.size());
    const int64_t off = static_cast<int64_t>(slots[i] * sum) - exact;
    if (std::abs(off) >= static_cast<int64_t>(sum)) {
      FAIL("real " << i << " of weight " << reals[i].weight << " in " << sum << " has " << slots[i] << " of "
                   << ring.size() << " slots");
    }
  }
}

uint32_t Moved(const Ring& before, const Ring& after) {
  uint32_t moved = 0;
  for (size_t slot = 0; slot < before.size(); ++slot) moved += before[slot] != after[slot];
  return moved;
}

// The slots that have to change hands because shares change, per cent of the ring.
double MustMove(const Reals& before, const Reals& after) {
  const auto sum_before = static_cast<double>(WeightSum(before));
  const auto sum_after = static_cast<double>(WeightSum(after));
  double must = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    must += std::max(0.0, before[i].weight / sum_before - after[i].weight / sum_after);
  }
  return 100 * must;
}

// Slots that moved and need not have, per cent of the ring, mean over changes of ten different reals.
template <typename Build, typename Change>
double ExcessOf(const Build& build, const Reals& reals, uint32_t ring_size, const Change& change) {
  const Ring before = build(reals, ring_size);
  double excess = 0;
  for (size_t i = 0; i < 10; ++i) {
    Reals changed = reals;
    change(changed[i * reals.size() / 10]);
    excess += 100.0 * Moved(before, build(changed, ring_size)) / ring_size - MustMove(reals, changed);
  }
  return excess / 10;
}

Ring Paper(const Reals& reals, uint32_t ring_size) { return BuildPaperRing(reals, ring_size); }

uint64_t Digest(const Ring& ring) {  // FNV-1a over the little-endian owners
  uint64_t digest = 0xcbf29ce484222325;
  for (const uint16_t owner : ring) {
    digest = (digest ^ (owner & 0xff)) * 0x100000001b3;
    digest = (digest ^ (owner >> 8)) * 0x100000001b3;
  }
  return digest;
}

constexpr uint32_t kPrimes[] = {2, 3, 5, 7, 13, 101, 251, 509, 1021, 2039, 4093, 65537};

TEST_CASE("every real's slots differ from its exact share by less than one", "[maglev]") {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const uint32_t ring_size = kPrimes[random.Below(std::size(kPrimes))];
    const uint32_t heaviest = std::vector<uint32_t>{1, 3, 16, 100, 65535, kMaxWeight}[random.Below(6)];
    const Reals reals = RandomReals(random, 1 + random.Below(std::min(ring_size, 400u)), heaviest);
    CheckExactShares(reals, Built(reals, ring_size));
  }
  for (const uint32_t count : {1u, 2u, 10u, 1000u, 10000u, 65535u}) {
    CheckExactShares(EqualReals(count), Built(EqualReals(count), 65537));
  }
  CheckExactShares(EqualReals(10000), Built(EqualReals(10000), kMaxRingSize));
}

TEST_CASE("shares are exact where weights could hardly differ more", "[maglev]") {
  Reals reals = EqualReals(20000, 1);
  reals[7].weight = 65535;
  CheckExactShares(reals, Built(reals, 65537));
  CheckExactShares(reals, Built(reals, kMaxRingSize));
  reals.resize(2);
  reals[0].weight = 65535;
  reals[1].weight = 1;
  CheckExactShares(reals, Built(reals, 65537));
  reals[0].weight = kMaxWeight;
  CheckExactShares(reals, Built(reals, kMaxRingSize));
  reals[0].weight = 65536 / 2;  // with 32769: one slot a unit of weight, nothing is left over by rounding
  reals[1].weight = 32769;
  CheckExactShares(reals, Built(reals, 65537));
}

TEST_CASE("a real of weight 0 gets no slot and changes no other real's slots", "[maglev]") {
  Reals reals = EqualReals(10);
  reals[3].weight = 0;
  const Ring ring = Built(reals, 1021);
  CHECK(SlotsOf(ring, 10)[3] == 0);
  reals.erase(reals.begin() + 3);
  Ring without = Built(reals, 1021);
  for (uint16_t& owner : without) owner = static_cast<uint16_t>(owner + (owner >= 3));
  CHECK(ring == without);
}

TEST_CASE("a real whose share is less than one slot still gets one when rounding leaves one over", "[maglev]") {
  Reals reals = EqualReals(100, 60000);
  for (size_t i = 90; i < 95; ++i) reals[i].weight = 1;
  const std::vector<uint32_t> slots = SlotsOf(Built(reals, 4093), reals.size());
  for (size_t i = 90; i < 95; ++i) CHECK(slots[i] == 1);
}

TEST_CASE("of reals whose share is less than one slot the largest are served first", "[maglev]") {
  Reals reals = EqualReals(20, 1);
  reals[0].weight = 60000;
  for (size_t i = 10; i < 20; ++i) reals[i].weight = 300;  // 0.48 of 101 slots each, 4.79 and a little together
  const std::vector<uint32_t> slots = SlotsOf(Built(reals, 101), reals.size());
  CHECK(slots[0] == 96);
  CHECK(std::accumulate(slots.begin() + 1, slots.begin() + 10, 0u) == 0);
  CHECK(std::accumulate(slots.begin() + 10, slots.end(), 0u) == 5);
}

TEST_CASE("the ring does not depend on the order of the reals", "[maglev]") {
  Random random(2);
  for (int round = 0; round < 100; ++round) {
    const Reals reals = RandomReals(random, 2 + random.Below(200), 20);
    std::vector<uint16_t> order(reals.size());
    std::iota(order.begin(), order.end(), uint16_t{0});
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(static_cast<uint32_t>(i))]);
    Reals shuffled;
    for (const uint16_t position : order) shuffled.push_back(reals[position]);
    Ring ring = Built(shuffled, 2039);
    for (uint16_t& owner : ring) owner = order[owner];
    REQUIRE(ring == Built(reals, 2039));
  }
}

TEST_CASE("only the ratios of the weights matter", "[maglev]") {
  Random random(3);
  Reals reals = RandomReals(random, 1000, 90);
  const Ring ring = Built(reals, kMaxRingSize);
  for (Real& real : reals) real.weight *= 719;
  CHECK(Built(reals, kMaxRingSize) == ring);
}

TEST_CASE("little more than must moves when one real of a few leaves", "[maglev]") {
  const auto leave = [](Real& real) { real.weight = 0; };
  Random random(4);
  for (const uint32_t count : {2u, 3u, 4u, 10u, 30u}) {
    Reals weighted = EqualReals(count);
    for (Real& real : weighted) real.weight = 1 + random.Below(16);
    CHECK(ExcessOf(Built, EqualReals(count), 65537, leave) < 0.5);
    CHECK(ExcessOf(Built, weighted, 65537, leave) < 0.5);
  }
}

TEST_CASE("no more than half a per cent of the ring moves needlessly when a real changes", "[maglev]") {
  const auto leave = [](Real& real) { real.weight = 0; };
  const auto twice = [](Real& real) { real.weight *= 2; };
  const auto one_less = [](Real& real) { --real.weight; };
  Random random(5);
  for (const uint32_t count : {100u, 1000u, 5000u}) {
    Reals weighted = EqualReals(count);
    for (Real& real : weighted) real.weight = 2 + random.Below(100);
    for (const Reals& reals : {EqualReals(count), weighted}) {
      INFO(count << " reals");
      CHECK(ExcessOf(Built, reals, 65537, leave) < 0.5);
      CHECK(ExcessOf(Built, reals, 65537, twice) < 0.5);
      CHECK(ExcessOf(Built, reals, 65537, one_less) < 0.5);
    }
  }
}

TEST_CASE("a real that climbs to its weight moves little more than must at each step", "[maglev]") {
  Random random(6);
  for (const uint32_t count : {2u, 10u, 100u, 1000u}) {
    Reals whole = EqualReals(count);
    for (Real& real : whole) real.weight = (1 + random.Below(65535)) * 10000;
    for (uint32_t factor = 100; factor < 10000; factor += 495) {
      INFO(count << " reals, factor " << factor);
      Reals reals = whole;
      for (size_t i = 0; i < 10; ++i) reals[i * count / 10].weight = whole[i * count / 10].weight / 10000 * factor;
      const auto climb_on = [](Real& real) { real.weight += 1 + real.weight / 20; };
      CHECK(ExcessOf(Built, reals, 65537, climb_on) < 0.5);
    }
  }
}

TEST_CASE("fewer slots move needlessly than in the paper's ring", "[maglev]") {
  const auto leave = [](Real& real) { real.weight = 0; };
  for (const uint32_t count : {10u, 100u, 1000u, 5000u}) {
    const Reals reals = EqualReals(count);
    CHECK(ExcessOf(Built, reals, 65537, leave) < 0.8 * ExcessOf(Paper, reals, 65537, leave));
  }
}

TEST_CASE("a real that leaves and comes back finds its old slots", "[maglev]") {
  Reals reals = EqualReals(20);
  const Ring before = Built(reals, 4093);
  reals[4].weight = 0;
  CHECK(Built(reals, 4093) != before);
  reals[4].weight = 10;
  CHECK(Built(reals, 4093) == before);
}

// These digests are a promise between balancers of different versions that serve one VIP. When one of them changes,
// flows break during an upgrade: say so in the change log, or undo what changed it.
TEST_CASE("the layout of rings is what every released version builds", "[maglev]") {
  Reals mixed = EqualReals(300);
  for (uint32_t i = 0; i < mixed.size(); ++i) mixed[i].weight = i % 17;
  mixed[5].id = {0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12};
  Reals extreme = EqualReals(3, 1);
  extreme[2].weight = 65535;
  CHECK(Digest(Built(EqualReals(3), 7)) == 0x0caa473127234374);
  CHECK(Digest(Built(EqualReals(4), 65537)) == 0x08b0a9225789fee6);
  CHECK(Digest(Built(EqualReals(1000), 65537)) == 0xa0bb110ceae0b9ce);
  CHECK(Digest(Built(mixed, 65537)) == 0x9d3d65cca02e6162);
  CHECK(Digest(Built(extreme, 1021)) == 0xfb912004471e0924);
  extreme[1].weight = kMaxWeight - 1;
  CHECK(Digest(Built(extreme, 1021)) == 0xc12c8be278e2acf7);
  CHECK(Digest(Built(mixed, kMaxRingSize)) == 0x818dc2dec29c672d);
}

TEST_CASE("primes are told from other numbers", "[maglev]") {
  std::vector<uint32_t> primes;
  for (uint32_t n = 0; n < 60; ++n) {
    if (IsPrime(n)) primes.push_back(n);
  }
  CHECK(primes == std::vector<uint32_t>{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59});
  for (const uint32_t prime : {65537u, 655373u, 4294967291u}) CHECK(IsPrime(prime));
  for (const uint32_t composite : {65536u, 66049u, 655371u, 4294967295u, 4292870400u}) CHECK_FALSE(IsPrime(composite));
}

TEST_CASE("a wrong ring size is refused with a right one", "[maglev]") {
  CHECK(ErrorOf(EqualReals(2), 0) == "ring size 0 is out of range: choose a prime from 2 to 655373, such as 65537");
  CHECK(ErrorOf(EqualReals(2), 655379) ==
        "ring size 655379 is out of range: choose a prime from 2 to 655373, such as 65537");
  CHECK(ErrorOf(EqualReals(2), 65536) == "ring size 65536 is not a prime number: choose 65521 or 65537");
  CHECK(ErrorOf(EqualReals(2), 4) == "ring size 4 is not a prime number: choose 3 or 5");
}

TEST_CASE("reals without any weight are refused", "[maglev]") {
  CHECK(ErrorOf({}, 65537) == "the list of reals is empty: add at least one real with a weight above 0");
  CHECK(ErrorOf(EqualReals(3, 0), 65537) == "every real has weight 0: give at least one real a weight above 0");
}

TEST_CASE("a real that is wrong is named as people write it", "[maglev]") {
  Reals reals = EqualReals(3);
  reals[1].weight = 655350001;
  CHECK(ErrorOf(reals, 65537) == "real 10.0.0.1 has weight 655350001: choose a weight from 0 to 655350000");
  reals[1].weight = 655350000;
  CHECK(ErrorOf(reals, 65537) == "no error");
  reals[1].id = reals[2].id;
  CHECK(ErrorOf(reals, 65537) == "real 10.0.0.2 is listed more than once: list each real once");

  const std::map<std::string, std::array<uint8_t, 16>> ids = {
      {"2001:db8:7::12", {0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12}},
      {"::", {}},
      {"::1", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
      {"fe80::", {0xfe, 0x80}},
      {"1:0:2::3:0:4", {0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4}},
      {"1:2:3:4:5:0:7:8", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0, 0, 7, 0, 8}},
  };
  for (const auto& [text, id] : ids) {
    CHECK(ErrorOf({{id, 700000000}}, 65537) ==
          "real " + text + " has weight 700000000: choose a weight from 0 to 655350000");
  }
}

TEST_CASE("more reals than a ring can hold are refused, those of weight 0 not counted", "[maglev]") {
  Reals reals = EqualReals(8);
  CHECK(ErrorOf(reals, 7) ==
        "8 reals have a weight above 0 but the ring has only 7 slots: choose a larger ring size, best 100 slots a real "
        "or more");
  reals[0].weight = 0;
  CHECK(ErrorOf(reals, 7) == "no error");
  CHECK(ErrorOf(EqualReals(65535), 655373) == "no error");
  CHECK(ErrorOf(EqualReals(65536), 655373) == "the list has 65536 reals: a ring takes at most 65535");
}

}  // namespace
}  // namespace shunt::maglev

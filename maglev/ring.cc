// SPDX-License-Identifier: Apache-2.0
//
// BuildRing: checks its input, puts the reals into an order that does not depend on the caller's, and hands over to
// shares.h (how many slots each real owns), matching.h (which) and remainder.h (who gets what rounding leaves over).
// Pure functions, any thread.
#include "maglev/ring.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>
#include <utility>

#include "maglev/id_text.h"
#include "maglev/matching.h"
#include "maglev/remainder.h"
#include "maglev/shares.h"
#include "maglev/walk.h"

namespace shunt::maglev {
namespace {

using std::to_string;

struct Ranked {
  uint64_t id_hash;
  uint32_t input;  // position in the caller's list
};

std::string NearbyPrimes(uint32_t n) {
  uint32_t below = n;
  while (below >= kMinRingSize && !IsPrime(below)) --below;
  uint32_t above = n;
  while (above <= kMaxRingSize && !IsPrime(above)) ++above;
  if (below < kMinRingSize) return to_string(above);
  if (above > kMaxRingSize) return to_string(below);
  return to_string(below) + " or " + to_string(above);
}

std::optional<std::string> WrongSize(uint32_t ring_size) {
  if (ring_size < kMinRingSize || ring_size > kMaxRingSize) {
    return "ring size " + to_string(ring_size) + " is out of range: choose a prime from " + to_string(kMinRingSize) +
           " to " + to_string(kMaxRingSize) + ", such as 65537";
  }
  if (!IsPrime(ring_size)) {
    return "ring size " + to_string(ring_size) + " is not a prime number: choose " + NearbyPrimes(ring_size);
  }
  return std::nullopt;
}

std::optional<std::string> WrongReals(std::span<const Real> reals, uint32_t ring_size) {
  if (reals.empty()) return "the list of reals is empty: add at least one real with a weight above 0";
  if (reals.size() > kMaxReals) {
    return "the list has " + to_string(reals.size()) + " reals: a ring takes at most " + to_string(kMaxReals);
  }
  uint32_t weighted = 0;
  for (const Real& real : reals) {
    if (real.weight > kMaxWeight) {
      return "real " + IdText(real.id) + " has weight " + to_string(real.weight) + ": choose a weight from 0 to " +
             to_string(kMaxWeight);
    }
    weighted += real.weight != 0;
  }
  if (weighted == 0) return "every real has weight 0: give at least one real a weight above 0";
  if (weighted > ring_size) {
    return to_string(weighted) + " reals have a weight above 0 but the ring has only " + to_string(ring_size) +
           " slots: choose a larger ring size, best 100 slots a real or more";
  }
  return std::nullopt;
}

// By hash of the id: a fixed order in which neighbours in address space are not neighbours. One pass over as many
// buckets as there are reals puts nearly every real in its place, and an insertion sort does the rest.
std::vector<Ranked> RankById(std::span<const Real> reals) {
  const int bits = std::bit_width(static_cast<uint32_t>(reals.size()));
  const auto bucket_of = [&](uint64_t hash) { return hash >> (64 - bits); };
  std::vector<uint64_t> hashes(reals.size());
  std::vector<uint32_t> begin((size_t{1} << bits) + 1);
  for (size_t i = 0; i < reals.size(); ++i) {
    hashes[i] = HashId(reals[i].id);
    ++begin[bucket_of(hashes[i]) + 1];
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<Ranked> ranked(reals.size());
  for (uint32_t i = 0; i < reals.size(); ++i) ranked[begin[bucket_of(hashes[i])]++] = {hashes[i], i};
  const auto before = [&](const Ranked& a, const Ranked& b) {
    return a.id_hash != b.id_hash ? a.id_hash < b.id_hash : reals[a.input].id < reals[b.input].id;
  };
  for (auto next = ranked.begin(); next != ranked.end(); ++next) {
    const Ranked moving = *next;
    auto place = next;
    for (; place != ranked.begin() && before(moving, *(place - 1)); --place) *place = *(place - 1);
    *place = moving;
  }
  return ranked;
}

// Weights for walking: as they are, or in the same ratios, rounded, where they are larger than walks can tell apart.
// How many slots a real owns does not depend on them.
std::vector<uint32_t> WalkWeights(std::span<const uint32_t> weights) {
  const uint64_t most = *std::ranges::max_element(weights);
  std::vector<uint32_t> walk_weights(weights.begin(), weights.end());
  if (most <= kMaxWalkWeight) return walk_weights;
  for (uint32_t& weight : walk_weights) {
    weight = static_cast<uint32_t>(std::max<uint64_t>((uint64_t{weight} * kMaxWalkWeight + most / 2) / most, 1));
  }
  return walk_weights;
}

std::optional<std::string> Duplicate(std::span<const Real> reals, std::span<const Ranked> ranked) {
  const auto twin = std::adjacent_find(ranked.begin(), ranked.end(), [&](const Ranked& a, const Ranked& b) {
    return a.id_hash == b.id_hash && reals[a.input].id == reals[b.input].id;
  });
  if (twin == ranked.end()) return std::nullopt;
  return "real " + IdText(reals[twin->input].id) + " is listed more than once: list each real once";
}

}  // namespace

bool IsPrime(uint32_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (uint64_t divisor = 3; divisor * divisor <= n; divisor += 2) {
    if (n % divisor == 0) return false;
  }
  return true;
}

std::expected<std::vector<uint16_t>, std::string> BuildRing(std::span<const Real> reals, uint32_t ring_size) {
  if (auto wrong = WrongSize(ring_size)) return std::unexpected(*std::move(wrong));
  if (auto wrong = WrongReals(reals, ring_size)) return std::unexpected(*std::move(wrong));
  std::vector<Ranked> ranked = RankById(reals);
  if (auto wrong = Duplicate(reals, ranked)) return std::unexpected(*std::move(wrong));
  std::erase_if(ranked, [&](const Ranked& r) { return reals[r.input].weight == 0; });

  std::vector<uint32_t> weights;
  weights.reserve(ranked.size());
  uint32_t divisor = 0;
  for (const Ranked& r : ranked) {
    weights.push_back(reals[r.input].weight);
    divisor = std::gcd(divisor, weights.back());
  }
  for (uint32_t& weight : weights) weight /= divisor;

  const std::vector<Share> shares = ExactShares(weights, ring_size);
  const std::vector<uint32_t> walk_weights = WalkWeights(weights);
  std::vector<Contender> contenders;
  contenders.reserve(ranked.size());
  std::vector<bool> may_grow;
  may_grow.reserve(ranked.size());
  for (uint32_t i = 0; i < ranked.size(); ++i) {
    contenders.push_back({ranked[i].id_hash, walk_weights[i], shares[i].slots});
    may_grow.push_back(shares[i].may_grow);
  }
  std::vector<uint16_t> ring = MatchSlots(contenders, ring_size);
  PlaceRemainder(ring, std::move(may_grow));
  for (uint16_t& owner : ring) owner = static_cast<uint16_t>(ranked[owner].input);
  return ring;
}

}  // namespace shunt::maglev

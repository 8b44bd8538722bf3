// SPDX-License-Identifier: Apache-2.0
// The flow hash mixes, spreads and is keyed. Thresholds are for these fixed inputs, so a test cannot pass by luck
// today and fail tomorrow.
#include "userspace/dataplane/flow_hash.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <set>
#include <vector>

namespace shunt {
namespace {

constexpr uint32_t kSlots = 4093;

VipKey TestedVip() { return VipKey::Parse("203.0.113.10:443/tcp").value(); }
HashKey Secret() { return {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}; }
FlowHashKey Key() { return DeriveFlowHashKey(Secret(), TestedVip()); }

Endpoint RandomSource(std::mt19937_64& random, bool ipv4) {
  IpAddress::Bytes bytes{};
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  const IpAddress address = ipv4 ? IpAddress::FromIpv4({bytes[0], bytes[1], bytes[2], bytes[3]}) : IpAddress(bytes);
  return {address, static_cast<uint16_t>(random())};
}

// How far the counts are from even, in standard deviations of the chi-square distribution.
double ChiSquareDeviation(const std::vector<uint32_t>& counts, double flows) {
  const double expected = flows / static_cast<double>(counts.size());
  double chi_square = 0;
  for (const uint32_t count : counts) chi_square += (count - expected) * (count - expected) / expected;
  const double degrees = static_cast<double>(counts.size() - 1);
  return (chi_square - degrees) / std::sqrt(2 * degrees);
}

struct Avalanche {
  double mean = 0;             // of output bits that change, as a share
  double least = 1, most = 0;  // over all pairs of an input and an output bit
};

// Bits are counted from the source address's first one, then come its port and the destination's.
uint64_t HashWithBit(Endpoint source, uint16_t port, bool ipv4, unsigned bit) {
  IpAddress::Bytes bytes = source.address.bytes();
  const unsigned address_bits = ipv4 ? 32 : 128;
  if (bit < address_bits) bytes[(128 - address_bits + bit) / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  if (bit >= address_bits && bit < address_bits + 16) source.port ^= static_cast<uint16_t>(1 << (bit - address_bits));
  if (bit >= address_bits + 16) port ^= static_cast<uint16_t>(1 << (bit - address_bits - 16));
  return FlowHash(Key(), {IpAddress(bytes), source.port}, port);
}

Avalanche MeasureAvalanche(bool ipv4) {
  constexpr unsigned kRounds = 2000;
  const unsigned input_bits = ipv4 ? 64 : 160;
  std::vector<std::array<uint32_t, 64>> changed(input_bits);
  std::mt19937_64 random(7);
  for (unsigned round = 0; round < kRounds; ++round) {
    const Endpoint source = RandomSource(random, ipv4);
    const auto port = static_cast<uint16_t>(random());
    const uint64_t base = FlowHash(Key(), source, port);
    for (unsigned bit = 0; bit < input_bits; ++bit) {
      const uint64_t difference = base ^ HashWithBit(source, port, ipv4, bit);
      for (unsigned out = 0; out < 64; ++out) changed[bit][out] += difference >> out & 1;
    }
  }
  Avalanche avalanche;
  for (const auto& row : changed) {
    for (const uint32_t count : row) {
      const double share = static_cast<double>(count) / kRounds;
      avalanche.mean += share / (64.0 * input_bits);
      avalanche.least = std::min(avalanche.least, share);
      avalanche.most = std::max(avalanche.most, share);
    }
  }
  return avalanche;
}

struct Flow {
  Endpoint source;
  uint16_t destination_port = 443;
};

IpAddress Ipv4(uint32_t number) {
  const auto byte = [&](unsigned shift) { return static_cast<uint8_t>(number >> shift); };
  return IpAddress::FromIpv4({byte(24), byte(16), byte(8), byte(0)});
}

// `prefix` stands in bytes 4 to 7, `host` in the last four.
IpAddress Ipv6(uint32_t prefix, uint32_t host) {
  IpAddress::Bytes bytes = {0x20, 0x01, 0x0d, 0xb8};
  for (unsigned i = 0; i < 4; ++i) {
    bytes[7 - i] = static_cast<uint8_t>(prefix >> 8 * i);
    bytes[15 - i] = static_cast<uint8_t>(host >> 8 * i);
  }
  return IpAddress(bytes);
}

uint16_t Port(uint32_t number) { return static_cast<uint16_t>(number); }

struct FlowPattern {
  const char* name;
  Flow (*flow_of)(uint32_t);
  uint32_t flows;
};

// What clients, address translators and scans make.
std::vector<FlowPattern> FlowsThatAreAlike() {
  return {
      {"one IPv4 client, ports one after the other", [](uint32_t i) { return Flow{{Ipv4(0xc6336407), Port(i)}}; },
       65536},
      {"one IPv4 client, even ports", [](uint32_t i) { return Flow{{Ipv4(0xc6336407), Port(2 * i)}}; }, 32768},
      {"one IPv4 client, all destination ports", [](uint32_t i) { return Flow{{Ipv4(0xc6336407), 40000}, Port(i)}; },
       65536},
      {"one IPv4 client, 8 destination ports far apart",
       [](uint32_t i) { return Flow{{Ipv4(0xc6336407), Port(i >> 3)}, Port((i & 7) << 5)}; }, 1 << 19},
      {"neighbouring IPv4 clients", [](uint32_t i) { return Flow{{Ipv4(0x0a000000 + i), 40000}}; }, 1 << 19},
      {"IPv4 clients of neighbouring networks", [](uint32_t i) { return Flow{{Ipv4(i << 8), 40000}}; }, 1 << 19},
      {"neighbouring IPv4 clients with many ports each",
       [](uint32_t i) { return Flow{{Ipv4(0x0a000000 + (i >> 8)), Port(32768 + 2 * (i & 255))}}; }, 1 << 19},
      {"one IPv6 client, ports one after the other", [](uint32_t i) { return Flow{{Ipv6(0, 7), Port(i)}}; }, 65536},
      {"one IPv6 client, all destination ports", [](uint32_t i) { return Flow{{Ipv6(0, 7), 40000}, Port(i)}; }, 65536},
      {"neighbouring IPv6 clients", [](uint32_t i) { return Flow{{Ipv6(0, i), 40000}}; }, 1 << 19},
      {"IPv6 clients of neighbouring networks", [](uint32_t i) { return Flow{{Ipv6(i, 1), 40000}}; }, 1 << 19},
  };
}

// How far from even `place_of` spreads the hashes over so many places.
template <class PlaceOf>
double Unevenness(const std::vector<uint64_t>& hashes, size_t places, const PlaceOf& place_of) {
  std::vector<uint32_t> counts(places);
  for (const uint64_t hash : hashes) ++counts[place_of(hash)];
  return std::abs(ChiSquareDeviation(counts, static_cast<double>(hashes.size())));
}

}  // namespace

TEST_CASE("The flow hash of a known flow never changes, or balancers of two versions would disagree") {
  const FlowHashKey key = Key();
  CHECK(key == FlowHashKey{0x373ec94205765b25, 0x5d3e50a293c3e179});
  CHECK(FlowHash(key, Endpoint::Parse("198.51.100.7:40000").value(), 443) == 0xdc95286b5810103b);
  CHECK(FlowHash(key, Endpoint::Parse("[2001:db8::7]:40000").value(), 443) == 0x59f762e74d515c69);
}

TEST_CASE("Each bit of source and ports changes about half of the hash, of either family") {
  for (const bool ipv4 : {true, false}) {
    const Avalanche avalanche = MeasureAvalanche(ipv4);
    CAPTURE(ipv4, avalanche.mean, avalanche.least, avalanche.most);
    CHECK(avalanche.mean == Approx(0.5).margin(0.01));
    CHECK(avalanche.least > 0.35);
    CHECK(avalanche.most < 0.65);
  }
}

TEST_CASE("Flows that are alike spread evenly over slots, lines of the flow table and registers, under any key") {
  for (const auto& [name, flow_of, flows] : FlowsThatAreAlike()) {
    double worst = 0;
    for (uint64_t seed = 0; seed < 8; ++seed) {
      std::mt19937_64 random(seed);
      const FlowHashKey key = {random(), random()};
      std::vector<uint64_t> hashes;
      for (uint32_t i = 0; i < flows; ++i) {
        const Flow flow = flow_of(i);
        hashes.push_back(FlowHash(key, flow.source, flow.destination_port));
      }
      worst =
          std::max({worst, Unevenness(hashes, kSlots, [](uint64_t hash) { return SlotOf(hash, kSlots); }),
                    Unevenness(hashes, 4096, [](uint64_t hash) { return hash & 4095; }),       // lines, registers
                    Unevenness(hashes, 4096, [](uint64_t hash) { return hash >> 7 & 4095; }),  // ranks
                    Unevenness(hashes, 31 * 32, [](uint64_t hash) { return SlotOf(hash, 31) * 32 + (hash & 31); })});
    }
    CAPTURE(name);
    CHECK(worst < 5);
  }
}

TEST_CASE("Flows that are alike share a place and a tag in the flow table no more often than chance has it") {
  // 20 bits of tag and 12 of line in place of 32 and 17: then chance has it 32 times, and a weakness shows.
  constexpr uint32_t kFlows = 1 << 19;
  for (const auto& [name, flow_of, flows] : FlowsThatAreAlike()) {
    if (flows < kFlows) continue;
    std::vector<uint32_t> seen;
    for (uint32_t i = 0; i < kFlows; ++i) {
      const Flow flow = flow_of(i);
      const uint64_t hash = FlowHash(Key(), flow.source, flow.destination_port);
      seen.push_back(static_cast<uint32_t>(hash >> 44 << 12 | (hash & 4095)));
    }
    std::ranges::sort(seen);
    const auto same = std::ranges::unique(seen).size();
    CAPTURE(name);
    CHECK(same > 12);
    CHECK(same < 60);
  }
}

TEST_CASE("Two flows of an IPv4 VIP never have the same hash") {
  std::vector<uint64_t> hashes;
  for (uint32_t i = 0; i < 1 << 20; ++i) {
    hashes.push_back(
        FlowHash(Key(), {Ipv4(0x0a000000 + (i >> 10)), static_cast<uint16_t>(i >> 5)}, static_cast<uint16_t>(i & 31)));
  }
  std::ranges::sort(hashes);
  CHECK(std::ranges::adjacent_find(hashes) == hashes.end());
}

TEST_CASE("Every slot is reached and none beyond the ring") {
  for (const uint32_t slots : {1u, 2u, 251u, 65537u, 655373u}) {
    CAPTURE(slots);
    CHECK(SlotOf(0, slots) == 0);
    CHECK(SlotOf(UINT64_MAX, slots) == slots - 1);
  }
}

TEST_CASE("Under another secret or for another VIP the same flows land elsewhere") {
  HashKey other_secret = Secret();
  other_secret[15] ^= 0x80;
  const FlowHashKey keys[] = {DeriveFlowHashKey(other_secret, TestedVip()),
                              DeriveFlowHashKey(Secret(), VipKey::Parse("203.0.113.11:443/tcp").value()),
                              DeriveFlowHashKey(Secret(), VipKey::Parse("203.0.113.10:444/tcp").value()),
                              DeriveFlowHashKey(Secret(), VipKey::Parse("203.0.113.10:443/udp").value())};
  for (const FlowHashKey& key : keys) {
    std::mt19937_64 random(3);
    constexpr uint32_t kFlows = 100000;
    uint32_t same = 0;
    for (uint32_t i = 0; i < kFlows; ++i) {
      const Endpoint source = RandomSource(random, true);
      same += SlotOf(FlowHash(key, source, 443), 251) == SlotOf(FlowHash(Key(), source, 443), 251);
    }
    CHECK(same > kFlows / 251 * 8 / 10);
    CHECK(same < kFlows / 251 * 12 / 10);
  }
}

TEST_CASE("Each bit of the store's key changes about half of a VIP's key, in both lanes") {
  for (unsigned bit = 0; bit < 128; ++bit) {
    HashKey other = Secret();
    other[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const FlowHashKey changed = DeriveFlowHashKey(other, TestedVip());
    for (const size_t lane : {0u, 1u}) {
      const int bits = std::popcount(changed[lane] ^ Key()[lane]);
      CAPTURE(bit, lane);
      CHECK(bits > 14);
      CHECK(bits < 50);
    }
  }
}

TEST_CASE("The two lanes of a key and the keys of neighbouring VIPs are all different") {
  std::set<uint64_t> lanes;
  for (uint16_t port = 0; port < 1000; ++port)
    for (const uint64_t lane : DeriveFlowHashKey(Secret(), {TestedVip().address, port, Protocol::kTcp}))
      lanes.insert(lane);
  CHECK(lanes.size() == 2000);
}

}  // namespace shunt

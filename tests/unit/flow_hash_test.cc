// SPDX-License-Identifier: Apache-2.0
// The flow hash mixes, spreads and is keyed. Thresholds are for these fixed inputs, so a test cannot pass by luck
// today and fail tomorrow.
#include "userspace/dataplane/flow_hash.h"

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

// `flip(flow, bit)` hashes the flow with one input bit changed.
template <class Hash>
Avalanche MeasureAvalanche(unsigned input_bits, const Hash& hash) {
  constexpr unsigned kRounds = 2000;
  std::vector<std::array<uint32_t, 64>> changed(input_bits);
  std::mt19937_64 random(7);
  for (unsigned round = 0; round < kRounds; ++round) {
    const Endpoint source = RandomSource(random, false);
    const auto port = static_cast<uint16_t>(random());
    const uint64_t base = hash(source, port, -1);
    for (unsigned bit = 0; bit < input_bits; ++bit) {
      const uint64_t difference = base ^ hash(source, port, static_cast<int>(bit));
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

uint64_t HashWithBit(Endpoint source, uint16_t port, int bit) {
  IpAddress::Bytes bytes = source.address.bytes();
  if (bit >= 0 && bit < 128) bytes[static_cast<size_t>(bit) / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  if (bit >= 128 && bit < 144) source.port ^= static_cast<uint16_t>(1 << (bit - 128));
  if (bit >= 144) port ^= static_cast<uint16_t>(1 << (bit - 144));
  return FlowHash(Key(), {IpAddress(bytes), source.port}, port);
}

}  // namespace

TEST_CASE("The flow hash of a known flow never changes, or balancers of two versions would disagree") {
  const FlowHashKey key = Key();
  CHECK(key == FlowHashKey{0x373ec94205765b25, 0x5d3e50a293c3e179});
  CHECK(FlowHash(key, Endpoint::Parse("198.51.100.7:40000").value(), 443) == 0xbda88e0ada3cfd45);
  CHECK(FlowHash(key, Endpoint::Parse("[2001:db8::7]:40000").value(), 443) == 0x3ca78661a796f68f);
}

TEST_CASE("Each bit of source and ports changes about half of the hash") {
  const Avalanche avalanche = MeasureAvalanche(160, HashWithBit);
  CAPTURE(avalanche.mean, avalanche.least, avalanche.most);
  CHECK(avalanche.mean == Approx(0.5).margin(0.01));
  CHECK(avalanche.least > 0.35);
  CHECK(avalanche.most < 0.65);
}

TEST_CASE("Sequential ports of one client spread evenly over the slots") {
  std::vector<uint32_t> counts(kSlots);
  const IpAddress client = IpAddress::Parse("198.51.100.7").value();
  for (uint32_t port = 0; port < 65536; ++port)
    ++counts[SlotOf(FlowHash(Key(), {client, static_cast<uint16_t>(port)}, 443), kSlots)];
  CHECK(std::abs(ChiSquareDeviation(counts, 65536)) < 4);
}

TEST_CASE("Neighbouring clients spread evenly over the slots, of either family") {
  for (const bool ipv4 : {true, false}) {
    std::vector<uint32_t> counts(kSlots);
    for (uint32_t client = 0; client < 200000; ++client) {
      const auto low = [&](unsigned shift) { return static_cast<uint8_t>(client >> shift); };
      const IpAddress address =
          ipv4 ? IpAddress::FromIpv4({10, low(16), low(8), low(0)})
               : IpAddress({0x20, 1, 0xd, 0xb8, low(16), low(8), low(0), 0, 0, 0, 0, 0, 0, 0, 0, 1});
      ++counts[SlotOf(FlowHash(Key(), {address, 40000}, 443), kSlots)];
    }
    CAPTURE(ipv4);
    CHECK(std::abs(ChiSquareDeviation(counts, 200000)) < 4);
  }
}

TEST_CASE("The low bits, which become entropy of the outer header, spread evenly too") {
  std::vector<uint32_t> counts(4096);
  for (uint32_t port = 0; port < 65536; ++port) {
    const Endpoint source{IpAddress::Parse("198.51.100.7").value(), static_cast<uint16_t>(port)};
    ++counts[FlowHash(Key(), source, 443) & 4095];
  }
  CHECK(std::abs(ChiSquareDeviation(counts, 65536)) < 4);
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

// SPDX-License-Identifier: Apache-2.0
// Which real a flow gets: the same as the model says, in the shares that the ring has. Rings are Maglev's.
#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>

#include "maglev/ring.h"
#include "tests/dataplane/harness.h"

namespace shunt::test {
namespace {

constexpr uint32_t kSlots = 65537;

struct Weighted {
  VipSpec vip;
  std::vector<uint32_t> weights;  // of vip.reals
};

std::vector<uint16_t> MaglevRing(const Weighted& weighted, uint32_t slots) {
  std::vector<maglev::Real> reals;
  for (size_t i = 0; i < weighted.vip.reals.size(); ++i) {
    reals.push_back({Address(weighted.vip.reals[i].address).bytes(), weighted.weights[i]});
  }
  auto ring = maglev::BuildRing(reals, slots);
  REQUIRE(ring);
  for (uint16_t& position : *ring) ++position;  // indices begin at 1
  return *ring;
}

std::vector<Weighted> WeightedVips() {
  std::vector<Weighted> vips = {
      {{.vip = "203.0.113.10:443/tcp", .reals = {{"10.0.0.11"}, {"10.0.0.12"}, {"10.0.0.13"}, {"10.0.0.14"}}},
       {10, 20, 30, 40}},
      {{.vip = "203.0.113.10:53/udp", .reals = {{"10.0.0.11"}, {"2001:db8:7::12"}, {"10.0.0.13"}}}, {1, 1, 1}},
      {{.vip = "[2001:db8:1::10]:443/tcp", .reals = {{"2001:db8:7::11"}, {"2001:db8:7::12"}, {"10.0.0.13"}}},
       {100, 1, 50}},
      {{.vip = "[2001:db8:1::10]:*/udp",
        .reals = {{"10.0.0.21"}, {"10.0.0.22"}, {"10.0.0.23"}, {"10.0.0.24"}, {"10.0.0.25"}}},
       {5, 4, 3, 2, 0}},
  };
  for (Weighted& weighted : vips) weighted.vip.ring = MaglevRing(weighted, kSlots);
  return vips;
}

// Clients are random: any address of a prefix, any port.
Bytes RandomFlow(std::mt19937_64& random, const VipKey& vip, std::string& source_text, std::string& vip_text) {
  const bool ipv6 = vip.address.family() == Family::kIpv6;
  IpAddress::Bytes bytes = Address(ipv6 ? "2001:db8:c::" : "198.18.0.0").bytes();
  for (size_t i = ipv6 ? 6 : 14; i < 16; ++i) bytes[i] = static_cast<uint8_t>(random());
  source_text = IpAddress(bytes).ToString();
  vip_text = vip.address.ToString();
  return BuildFrame({.source = source_text,
                     .destination = vip_text,
                     .protocol = static_cast<uint8_t>(vip.protocol),
                     .source_port = static_cast<uint16_t>(random()),
                     .destination_port = vip.port != 0 ? vip.port : static_cast<uint16_t>(random())});
}

// The outer destination of an encapsulated frame.
IpAddress OuterDestination(const Bytes& frame) {
  if (Get16(frame, 12) == 0x0800) return IpAddress::FromIpv4({frame[30], frame[31], frame[32], frame[33]});
  IpAddress::Bytes bytes{};
  std::copy_n(frame.begin() + 38, 16, bytes.begin());
  return IpAddress(bytes);
}

TEST_CASE("100 000 random flows of four VIPs go where the model says, in proportion to the weights") {
  const std::vector<Weighted> vips = WeightedVips();
  std::vector<VipSpec> specs;
  for (const Weighted& weighted : vips) specs.push_back(weighted.vip);
  Harness harness(MakePlan(specs));
  std::mt19937_64 random(42);
  constexpr size_t kFlowsPerVip = 25'000;
  for (const Weighted& weighted : vips) {
    std::map<IpAddress, uint64_t> served;
    for (size_t i = 0; i < kFlowsPerVip; ++i) {
      std::string source;
      std::string destination;
      const auto [program, model] = harness.RunFast(RandomFlow(random, Vip(weighted.vip.vip), source, destination));
      REQUIRE(program.verdict == VERDICT_TX_ENCAPSULATED);
      REQUIRE(program.frame == model.frame);
      const size_t position = model.real_index - 1u;
      REQUIRE(OuterDestination(program.frame) == Address(weighted.vip.reals.at(position).address));
      ++served[OuterDestination(program.frame)];
    }
    uint32_t weight_sum = 0;
    for (const uint32_t weight : weighted.weights) weight_sum += weight;
    double chi_square = 0;
    for (size_t i = 0; i < weighted.weights.size(); ++i) {
      const auto count = static_cast<double>(served[Address(weighted.vip.reals[i].address)]);
      const double expected = static_cast<double>(kFlowsPerVip) * weighted.weights[i] / weight_sum;
      INFO(weighted.vip.reals[i].address << ": " << count << " flows of " << expected);
      if (expected == 0) {
        CHECK(count == 0);
        continue;
      }
      chi_square += (count - expected) * (count - expected) / expected;
    }
    INFO(weighted.vip.vip);
    CHECK(chi_square < 22.0);  // four degrees of freedom or fewer: exceeded by chance once in 5000
  }
  harness.CheckTotals();
}

TEST_CASE("the counters of a VIP and of its reals are the packets and inner bytes that were sent to them") {
  const std::vector<Weighted> vips = WeightedVips();
  std::vector<VipSpec> specs;
  for (const Weighted& weighted : vips) specs.push_back(weighted.vip);
  Harness harness(MakePlan(specs));
  std::mt19937_64 random(43);
  std::map<uint16_t, Traffic> expected;
  Traffic expected_vip;
  const VipKey vip = Vip("203.0.113.10:443/tcp");
  for (uint64_t i = 0; i < 500; ++i) {
    const PacketSpec packet{.source_port = static_cast<uint16_t>(random()),
                            .tcp_flags = i % 5 == 0 ? kSyn : kAck,
                            .payload_bytes = random() % 1000,
                            .padding_bytes = 4};
    harness.Run(BuildFrame(packet));
    Traffic& real = expected[harness.model().real_index];
    for (Traffic* traffic : {&real, &expected_vip}) {
      traffic->packets += 1;
      traffic->bytes += 40 + packet.payload_bytes;
      traffic->new_flows += packet.tcp_flags == kSyn ? 1 : 0;
    }
    harness.Run(BuildFrame({.source_port = packet.source_port, .destination_port = 80}));  // counts for nobody
  }
  CHECK(harness.VipTraffic(vip) == expected_vip);
  REQUIRE(expected.size() == 4);
  for (const auto& [index, traffic] : expected) {
    INFO("real number " << index);
    CHECK(harness.RealTraffic(vip, index) == traffic);
  }
}

TEST_CASE("every slot of a ring is reached, the first and the last too") {
  constexpr uint16_t kReals = 13;
  VipSpec spec{.vip = "203.0.113.10:443/tcp"};
  std::vector<std::string> addresses;
  for (uint16_t i = 1; i <= kReals; ++i) addresses.push_back("10.0.1." + std::to_string(i));
  for (const std::string& address : addresses) spec.reals.push_back({address});
  Harness harness(MakePlan({spec}));
  std::map<uint16_t, int> seen;
  for (uint16_t port = 1; port <= 1000; ++port) {
    const auto [program, model] = harness.RunFast(BuildFrame({.source_port = port}));
    REQUIRE(program.frame == model.frame);
    REQUIRE(program.frame[33] == model.real_index);
    ++seen[model.real_index];
  }
  CHECK(seen.size() == kReals);
}

TEST_CASE("VIPs with the same reals and ring but keys of their own spread the same clients differently") {
  std::vector<VipSpec> specs;
  for (const std::string_view vip : {"203.0.113.10:443/tcp", "203.0.113.11:443/tcp"}) {
    specs.push_back({.vip = vip, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}});
  }
  Harness harness(MakePlan(specs));
  int same = 0;
  for (uint16_t port = 1; port <= 1000; ++port) {
    const Bytes first = harness.RunFast(BuildFrame({.source_port = port})).program.frame;
    const Bytes second =
        harness.RunFast(BuildFrame({.destination = "203.0.113.11", .source_port = port})).program.frame;
    same += first[33] == second[33] ? 1 : 0;
  }
  CHECK(same > 400);
  CHECK(same < 600);
}

}  // namespace
}  // namespace shunt::test

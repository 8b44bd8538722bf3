// SPDX-License-Identifier: Apache-2.0
// Hundreds of thousands of random and mutated frames through the program and through the model: same verdict, same
// bytes. Seeds are fixed; a frame that differs is printed whole.
#include <shunt/abi_verdicts.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <map>
#include <random>

#include "tests/dataplane/harness.h"
#include "userspace/dataplane/verdict.h"

namespace shunt::test {
namespace {

using Random = std::mt19937_64;

Plan ManyKinds() {
  return MakePlan({
      {.vip = "203.0.113.10:443/tcp", .reals = {{"10.0.0.11"}, {"10.0.0.12", kOtherInterface}, {"2001:db8:7::13"}}},
      {.vip = "203.0.113.10:53/udp",
       .reals = {{"2001:db8:7::12"}, {.address = "10.0.0.14", .source = "10.9.0.0", .spread_bits = 16}}},
      {.vip = "203.0.113.11:*/tcp",
       .reals = {{"10.0.0.11"}, {"10.0.0.15", kOtherInterface}},
       .tracking = Tracking::kAll},
      {.vip = "203.0.113.11:443/tcp", .reals = {{.address = "10.0.0.16", .resolved = false}, {"10.0.0.17"}}},
      {.vip = "203.0.113.12:*/udp", .reals = {{"10.0.0.11"}}, .ring = {1, 0, 2}},
      {.vip = "[2001:db8:1::10]:443/tcp", .reals = {{"10.0.0.11"}, {"2001:db8:7::12"}}, .tracking = Tracking::kAll},
      {.vip = "[2001:db8:1::10]:*/udp",
       .reals = {{.address = "2001:db8:7::12", .source = "2001:db8:9::", .spread_bits = 24, .ttl = 9}}},
      {.vip = "203.0.113.20:443/tcp", .no_slots = true},
      {.vip = "203.0.113.24:443/tcp", .reals = {{.address = "10.0.0.11", .mtu_bytes = 100}}},
      {.vip = "[2001:db8:1::24]:443/tcp", .reals = {{.address = "2001:db8:7::12", .mtu_bytes = 120}}},
  });
}

size_t Below(Random& random, size_t bound) { return static_cast<size_t>(random() % bound); }
bool OneIn(Random& random, size_t odds) { return Below(random, odds) == 0; }

template <class T, size_t n>
T Pick(Random& random, const std::array<T, n>& choices) {
  return choices[Below(random, n)];
}

// A valid packet of any kind, mostly to a VIP.
PacketSpec RandomPacket(Random& random) {
  static constexpr std::array<std::string_view, 12> kDestinations = {
      "203.0.113.10", "203.0.113.11",   "203.0.113.12",   "203.0.113.20",        "203.0.113.24",   "203.0.113.99",
      "198.51.100.1", "2001:db8:1::10", "2001:db8:1::24", "::ffff:203.0.113.10", "2001:db8:1::99", "2001:db8:1::10"};
  static constexpr std::array<uint8_t, 14> kProtocols = {6, 6, 6, 6, 17, 17, 17, 17, 1, 58, 47, 50, 44, 0};
  static constexpr std::array<uint16_t, 8> kPorts = {443, 443, 443, 53, 53, 0, 80, 8443};
  static constexpr std::array<uint16_t, 8> kFragments = {0x2000, 0x0001, 0x2001, 0x1fff,
                                                         0x8000, 0x0000, 0x4000, 0xe000};
  static constexpr std::array<uint8_t, 10> kHeaders = {0, 43, 44, 44, 44, 51, 60, 135, 139, 140};
  static constexpr std::array<uint16_t, 3> kTags = {0x8100, 0x88a8, 0x9100};
  PacketSpec packet;
  packet.destination = Pick(random, kDestinations);
  const bool ipv6 = packet.destination.contains(':');
  if (ipv6 && OneIn(random, 30)) packet.source = "::ffff:198.51.100.7";
  packet.protocol = Pick(random, kProtocols);
  packet.source_port = static_cast<uint16_t>(random());
  packet.destination_port = OneIn(random, 4) ? static_cast<uint16_t>(random()) : Pick(random, kPorts);
  packet.tcp_flags = static_cast<uint8_t>(random());
  if (OneIn(random, 4)) packet.tcp_options = Bytes(4 * Below(random, 11), 1);
  packet.tos = static_cast<uint8_t>(random());
  packet.flow_label = static_cast<uint32_t>(random() & 0xfffff);
  if (OneIn(random, 6)) packet.fragment_field = Pick(random, kFragments);
  if (!ipv6 && OneIn(random, 8)) packet.ip_options = Bytes(4 * Below(random, 11), 1);
  if (ipv6 && OneIn(random, 6)) {
    for (size_t left = 1 + Below(random, 2); left > 0; --left) {
      packet.extension_headers.emplace_back(Pick(random, kHeaders), FromHex("00 010400000000"));
    }
  }
  packet.payload_bytes = Below(random, OneIn(random, 5) ? 1400 : 60);
  for (size_t left = OneIn(random, 3) ? Below(random, 4) : 0; left > 0; --left) {
    packet.vlan_ether_types.push_back(Pick(random, kTags));
  }
  if (OneIn(random, 4)) packet.padding_bytes = Below(random, 30);
  return packet;
}

// Values near which rules change.
size_t NearSomething(Random& random, size_t frame_bytes) {
  const std::array<size_t, 8> kinds = {
      0, 20, 40, frame_bytes, frame_bytes - 14, 0xffff, 8, static_cast<size_t>(random())};
  return Pick(random, kinds) + Below(random, 5) - 2;
}

// One field or byte changed, the frame cut or grown. Changes stay within the headers, where rules are.
void Mutate(Random& random, const PacketSpec& packet, Bytes& frame) {
  const size_t ip = IpOffset(packet);
  const bool ipv6 = packet.destination.contains(':');
  const size_t headers = std::min(frame.size(), TransportOffset(packet) + 20);
  const auto put16 = [&](size_t at, size_t value) {
    if (at + 2 <= frame.size()) Put16(frame, at, value);
  };
  switch (Below(random, 9)) {
    case 0:
      Put8(frame, Below(random, headers), random());
      break;
    case 1:
      frame[Below(random, headers)] ^= static_cast<uint8_t>(1u << Below(random, 8));
      break;
    case 2:
      frame.resize(14 + Below(random, frame.size() - 13));
      break;
    case 3:
      frame.insert(frame.end(), Below(random, 64), 0x5a);
      break;
    case 4:
      put16(ip + (ipv6 ? 4 : 2), NearSomething(random, frame.size() - std::min(frame.size(), ip)));
      break;
    case 5:
      put16(TransportOffset(packet) + 4, NearSomething(random, packet.payload_bytes + 8));
      break;  // UDP length
    case 6:
      put16(TransportOffset(packet) + 12, random());
      break;  // TCP data offset and flags
    case 7:
      put16(12 + 4 * Below(random, 3), OneIn(random, 2) ? 0x0800 : 0x86dd);
      break;  // an EtherType, perhaps
    case 8:
      put16(ip, random());
      break;  // version and header length
  }
}

std::string Hex(const Bytes& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    text += digits;
  }
  return text;
}

// Runs `make(random)` so many times; which verdicts came out.
template <class Make>
std::map<uint32_t, uint64_t> Compare(Harness& harness, Random& random, int frames, const Make& make) {
  std::map<uint32_t, uint64_t> produced;
  for (int i = 0; i < frames; ++i) {
    const Bytes frame = make(random);
    const uint32_t ingress = kIngress;
    const auto [program, model] = harness.RunFast(frame, ingress);
    ++produced[program.verdict];
    if (program.verdict != model.verdict || program.frame != model.frame) {
      std::string steps;
      for (const WalkStep& step : model.steps) steps += "\n  " + step.stage + ": " + step.sentence;
      FAIL("frame " << i << ": " << Hex(frame) << "\nthe program: " << NameOf(program.verdict) << " "
                    << Hex(program.frame) << "\nthe model: " << NameOf(model.verdict) << " " << Hex(model.frame)
                    << steps);
    }
  }
  harness.CheckTotals();
  return produced;
}

TEST_CASE("300 000 mutated frames end alike in the program and in the model") {
  Harness harness(ManyKinds());
  Random random(1);
  const auto produced = Compare(harness, random, 300'000, [](Random& r) {
    const PacketSpec packet = RandomPacket(r);
    Bytes frame = BuildFrame(packet);
    for (size_t left = OneIn(r, 2) ? 0 : 1 + Below(r, 3); left > 0 && frame.size() > 14; --left)
      Mutate(r, packet, frame);
    return frame;
  });
  // Only if every rule is met often does agreement say much.
  for (const VerdictInfo& verdict : AllVerdicts()) {
    if (verdict.number == VERDICT_DROP_NO_HEADROOM) continue;
    INFO(verdict.name);
    CHECK(produced.contains(verdict.number));
    CHECK((produced.contains(verdict.number) ? produced.at(verdict.number) : 0) > 200);
  }
}

TEST_CASE("30 000 valid frames with the right destination but random bytes behind it end alike") {
  Harness harness(ManyKinds());
  Random random(2);
  Compare(harness, random, 30'000, [](Random& r) {
    const PacketSpec packet{.destination = OneIn(r, 2) ? "203.0.113.11" : "2001:db8:1::10"};
    Bytes frame = BuildFrame(packet);
    frame.resize(TransportOffset(packet) + Below(r, 60));
    for (size_t at = TransportOffset(packet); at < frame.size(); ++at) Put8(frame, at, r());
    if (OneIn(r, 2)) Put8(frame, IpOffset(packet) + (packet.destination.contains(':') ? 6 : 9), OneIn(r, 2) ? 17 : r());
    Put16(frame, IpOffset(packet) + (packet.destination.contains(':') ? 4 : 2),
          frame.size() - (packet.destination.contains(':') ? TransportOffset(packet) : IpOffset(packet)));
    return frame;
  });
}

TEST_CASE("20 000 frames of nothing but random bytes behind an IP EtherType end alike") {
  Harness harness(ManyKinds());
  Random random(3);
  Compare(harness, random, 20'000, [](Random& r) {
    Bytes frame(14 + Below(r, 200));
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(r());
    if (!OneIn(r, 8)) Put16(frame, 12, OneIn(r, 2) ? 0x0800 : 0x86dd);
    if (frame.size() > 14 && OneIn(r, 2)) Put8(frame, 14, Get16(frame, 12) == 0x0800 ? 0x45 : 0x60);
    return frame;
  });
}

TEST_CASE("frames that are not for a VIP pass untouched, whatever is wrong with them") {
  Harness harness(ManyKinds());
  Random random(4);
  for (int i = 0; i < 10'000; ++i) {
    PacketSpec packet = RandomPacket(random);
    packet.destination = packet.destination.contains(':') ? "2001:db8:1::99" : "203.0.113.99";
    Bytes frame = BuildFrame(packet);
    // Nothing is changed that says where the packet goes: up to the transport header only lengths and fragments are.
    for (size_t at = TransportOffset(packet); at < frame.size(); ++at) {
      if (OneIn(random, 3)) Put8(frame, at, random());
    }
    if (OneIn(random, 2)) Put16(frame, IpOffset(packet) + (packet.destination.contains(':') ? 4 : 2), random());
    if (OneIn(random, 4)) frame.resize(14 + Below(random, frame.size() - 13));
    const FrameResult result = harness.RunFast(frame).program;
    INFO(Hex(frame));
    REQUIRE(VerdictOf(result.verdict).action == "XDP_PASS");
    REQUIRE(result.frame == frame);
  }
}

}  // namespace
}  // namespace shunt::test

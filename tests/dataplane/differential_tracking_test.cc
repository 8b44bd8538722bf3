// SPDX-License-Identifier: Apache-2.0
// Random histories through the program and through the model: a few flows that come again and again, to VIPs of every
// kind of tracking, while slots move, are held, settle and lose reals. Same verdict, same bytes, same memory. Seeds are
// fixed. Not here: odd frames (differential_test.cc).
#include <shunt/abi_verdicts.h>

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

#include "tests/dataplane/flow_memory.h"

namespace shunt::test {
namespace {

using Random = std::mt19937_64;

constexpr uint16_t kReals = 4;
constexpr uint32_t kSlots = 16;

constexpr std::array<std::string_view, 9> kVips = {
    "203.0.113.10:443/tcp",     "203.0.113.10:443/udp",     "203.0.113.11:443/udp",
    "[2001:db8:1::10]:443/tcp", "[2001:db8:1::10]:443/udp", "[2001:db8:1::11]:443/udp",
    "203.0.113.12:443/tcp",     "203.0.113.12:443/udp",     "203.0.113.13:443/tcp"};

size_t Below(Random& random, size_t bound) { return static_cast<size_t>(random() % bound); }
bool OneIn(Random& random, size_t odds) { return Below(random, odds) == 0; }

template <class T, size_t n>
T Pick(Random& random, const std::array<T, n>& choices) {
  return choices[Below(random, n)];
}

// The addresses ending in 11 are of QUIC, those in 12 of tracking all, those in 13 of none.
Plan EveryKind() {
  std::vector<VipSpec> vips;
  for (const std::string_view vip : kVips) {
    vips.push_back({.vip = vip,
                    .reals = {{"10.0.0.11"}, {"2001:db8:7::12"}, {"10.0.0.13", kOtherInterface}, {"10.0.0.14"}},
                    .tracking = vip.contains(".12:")   ? Tracking::kAll
                                : vip.contains(".13:") ? Tracking::kNone
                                                       : Tracking::kMoving,
                    .slots = Ring(kSlots, {.current_real = 1}),
                    .quic = vip.contains(".11:") || vip.contains("::11]")});
  }
  return MakePlan(vips);
}

// Each kind of slot alike often; reals that are gone are named, too.
RingSlot RandomSlot(Random& random) {
  const auto real = static_cast<uint16_t>(1 + Below(random, kReals));
  const auto other = static_cast<uint16_t>(real % kReals + 1);
  switch (Below(random, 6)) {
    case 0:
      return {.current_real = real};
    case 1:
      return {.current_real = real, .previous_real = other};
    case 2:
      return {.current_real = real, .previous_real = other, .hold = true};
    case 3:
      return {.current_real = real, .previous_real = real};
    case 4:
      return {.current_real = 0, .previous_real = real};
    default:
      return {};
  }
}

// One of 64 flows of each VIP.
Bytes RandomFrame(Random& random) {
  static constexpr std::array<uint8_t, 10> kFlags = {kSyn, kSyn,        kSyn | kRst, kAck, kAck,
                                                     kAck, kFin | kAck, kSyn | kAck, kRst, kRst | kAck};
  static constexpr std::array<const char*, 8> kPayloads = {"c000000001 0000", "d000000001", "e000000001 00",
                                                           "40000102",        "c06b3343cf", "d06b3343cf",
                                                           "f0ffffffff",      "c0000000"};
  const VipKey vip = Vip(Pick(random, kVips));
  const std::string destination = vip.address.ToString();
  PacketSpec packet{.destination = destination,
                    .protocol = static_cast<uint8_t>(vip.protocol),
                    .source_port = static_cast<uint16_t>(1000 + Below(random, 64)),
                    .tcp_flags = Pick(random, kFlags)};
  if (packet.protocol == kUdp || OneIn(random, 2)) packet.payload = FromHex(Pick(random, kPayloads));
  return BuildFrame(packet);
}

void ChangeSlots(Harness& harness, Random& random) {
  const VipKey vip = Vip(Pick(random, kVips));
  Ring ring = *harness.plan().vips.at(vip).ring;
  for (size_t left = Below(random, 4); left > 0; --left) ring[Below(random, ring.size())] = RandomSlot(random);
  OneIn(random, 3) ? harness.SetRing(vip, ring) : harness.SetSlots(vip, ring);
}

// A real goes, is down or comes back; now and then it has no next hop.
void ChangeReal(Harness& harness, Random& random) {
  const VipKey vip = Vip(Pick(random, kVips));
  const auto index = static_cast<uint16_t>(1 + Below(random, kReals));
  if (OneIn(random, 3)) return harness.ClearReal(vip, index);
  RealEntry real = harness.plan().vips.at(vip).reals.at(index);
  if (OneIn(random, 6)) real.outer.reset();
  real.serves = !OneIn(random, 3);
  harness.SetReal(vip, index, real);
}

struct History {
  std::map<uint32_t, uint64_t> verdicts;
  std::map<FlowEffect, uint64_t> effects;
};

History RunHistory(Harness& harness, Random& random, int frames) {
  History history;
  for (int i = 0; i < frames; ++i) {
    if (OneIn(random, 20)) ChangeSlots(harness, random);
    if (OneIn(random, 60)) ChangeReal(harness, random);
    const auto [program, model] = harness.RunFast(RandomFrame(random));
    ++history.verdicts[program.verdict];
    ++history.effects[model.effect];
    if (program.verdict != model.verdict || program.frame != model.frame) {
      std::string steps;
      for (const WalkStep& step : model.steps) steps += "\n  " + step.stage + ": " + step.sentence;
      FAIL("frame " << i << "\nthe program: " << NameOf(program.verdict) << "\nthe model: " << NameOf(model.verdict)
                    << steps);
    }
    if (i % 100 == 0) CheckSameMemory(harness);
  }
  CheckSameMemory(harness);
  harness.CheckTotals();
  return history;
}

void CheckSameTraffic(Harness& harness, const History& history) {
  uint64_t packets = 0;
  for (const std::string_view vip : kVips) packets += harness.VipTraffic(Vip(vip)).packets;
  CHECK(packets == history.verdicts.at(VERDICT_TX_ENCAPSULATED) + history.verdicts.at(VERDICT_REDIRECT_ENCAPSULATED));
}

TEST_CASE("60 000 packets of flows whose slots move, settle and lose reals go alike and are remembered alike") {
  Harness harness(EveryKind());
  Random random(1);
  const History history = RunHistory(harness, random, 60'000);
  CheckSameTraffic(harness, history);
  for (const uint32_t verdict :
       {VERDICT_TX_ENCAPSULATED, VERDICT_REDIRECT_ENCAPSULATED, VERDICT_DROP_NO_REAL, VERDICT_DROP_NO_NEXT_HOP}) {
    INFO(NameOf(verdict));
    CHECK(history.verdicts.contains(verdict));
    CHECK(history.verdicts.at(verdict) > 1000);
  }
  for (const FlowEffect effect : {FlowEffect::kNone, FlowEffect::kRemember, FlowEffect::kTouch, FlowEffect::kForget}) {
    CHECK(history.effects.contains(effect));
    CHECK(history.effects.at(effect) > 500);
  }
  CHECK_FALSE(history.effects.contains(FlowEffect::kRefuse));
}

TEST_CASE("20 000 packets go alike and as many are refused where nothing may be remembered") {
  Harness harness(EveryKind(), 2, 0);
  harness.tables().has_allowance = false;
  Random random(2);
  const History history = RunHistory(harness, random, 20'000);
  CheckSameTraffic(harness, history);
  CHECK(history.effects.contains(FlowEffect::kRefuse));
  CHECK(history.effects.at(FlowEffect::kRefuse) > 1000);
}

}  // namespace
}  // namespace shunt::test

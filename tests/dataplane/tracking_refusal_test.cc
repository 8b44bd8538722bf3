// SPDX-License-Identifier: Apache-2.0
// Flows that cannot be remembered, on the program: a line of the flow table that is full, an allowance that is spent,
// and what becomes of the flows that come next. The model is told what the program finds out by itself.
#include <sched.h>
#include <shunt/abi_limits.h>
#include <shunt/abi_types.h>
#include <shunt/abi_verdicts.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "tests/dataplane/flow_memory.h"
#include "userspace/dataplane/flow_hash.h"

namespace shunt::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kVip = "203.0.113.10:443/tcp";
constexpr std::string_view kOtherVip = "203.0.113.11:443/tcp";
constexpr RingSlot kMoving{.current_real = 2, .previous_real = 1};

Plan PlanWith(const RingSlot& slot, Tracking tracking = Tracking::kMoving) {
  std::vector<VipSpec> vips;
  for (const std::string_view vip : {kVip, kOtherVip}) {
    vips.push_back({.vip = vip, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .tracking = tracking, .slots = {slot}});
  }
  return MakePlan(vips);
}

// A flow to kVip.
struct Client {
  std::string address;
  uint16_t port = 0;
};

PacketSpec From(const Client& client, uint8_t flags) {
  return {.source = client.address, .source_port = client.port, .tcp_flags = flags};
}

// This thread stays on the CPU that it is on.
class OneCpu {
 public:
  OneCpu() {
    REQUIRE(sched_getaffinity(0, sizeof(before_), &before_) == 0);
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(sched_getcpu(), &only);
    REQUIRE(sched_setaffinity(0, sizeof(only), &only) == 0);
  }
  ~OneCpu() { sched_setaffinity(0, sizeof(before_), &before_); }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;

 private:
  cpu_set_t before_{};
};

uint16_t RealOf(Harness& harness, const PacketSpec& packet) {
  const FrameResult result = harness.Run(BuildFrame(packet));
  REQUIRE(NameOf(result.verdict) == "TX_ENCAPSULATED");
  return static_cast<uint16_t>(result.frame.at(33) - 10);
}

// So many flows of kVip that stand in the same line of the flow table.
std::vector<Client> ClientsOfOneLine(Harness& harness, size_t count) {
  const uint64_t lines = harness.kernel().flow_places() / SHUNT_FLOWS_PER_LINE;
  const FlowHashKey& key = harness.plan().vips.at(Vip(kVip)).entry.flow_hash_key;
  std::vector<Client> clients;
  for (uint32_t number = 0; clients.size() < count; ++number) {
    const Client client{"198.51.100." + std::to_string(number >> 16), static_cast<uint16_t>(number)};
    if (FlowHash(key, {Address(client.address), client.port}, 443) % lines == 5) clients.push_back(client);
  }
  return clients;
}

Refusals RefusalsOfVip(Harness& harness) { return RefusalsOf(harness, Vip(kVip)); }

uint32_t SecondsSinceRefusal(Harness& harness) { return RefusalsOfVip(harness).seconds_ago.value(); }

// Fails if it does not hold within ten seconds.
template <class Holds>
void Await(const Holds& holds) {
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (Clock::now() > deadline) FAIL("waited ten seconds in vain");
  }
}

bool IsRemembered(Harness& harness, const Client& client) {
  return std::ranges::any_of(FlowEntries(harness), [&](const FlowEntry& entry) {
    return entry.flow.source == Endpoint{Address(client.address), client.port};
  });
}

TEST_CASE("a flow whose line is full is refused: it goes to the previous real, and each of its packets does") {
  Harness harness(PlanWith(kMoving));
  const auto clients = ClientsOfOneLine(harness, SHUNT_FLOWS_PER_LINE + 1);
  for (size_t i = 0; i < SHUNT_FLOWS_PER_LINE; ++i) CHECK(RealOf(harness, From(clients[i], kSyn)) == 2);
  CHECK(RefusalsOfVip(harness) == Refusals{});
  harness.tables().has_room = false;
  for (const uint8_t flags : {kSyn, kSyn, kAck}) CHECK(RealOf(harness, From(clients.back(), flags)) == 1);
  CHECK(RefusalsOfVip(harness).count == 3);
  CHECK(RefusalsOfVip(harness).seconds_ago.value() <= 1);
  CHECK_FALSE(IsRemembered(harness, clients.back()));
  for (size_t i = 0; i < SHUNT_FLOWS_PER_LINE; ++i) CHECK(RealOf(harness, From(clients[i], kAck)) == 2);
  CheckSameMemory(harness);
  CHECK(RefusalsOf(harness, Vip(kOtherVip)) == Refusals{});
}

TEST_CASE("after a refusal new flows of that VIP go to the previous real, remembered, for some seconds and no more") {
  Harness harness(PlanWith(kMoving));
  const auto clients = ClientsOfOneLine(harness, SHUNT_FLOWS_PER_LINE + 1);
  for (size_t i = 0; i < SHUNT_FLOWS_PER_LINE; ++i) CHECK(RealOf(harness, From(clients[i], kSyn)) == 2);
  harness.tables().has_room = false;
  CHECK(RealOf(harness, From(clients.back(), kSyn)) == 1);
  harness.tables().has_room = true;
  CHECK(RealOf(harness, {.source_port = 1, .tcp_flags = kSyn}) == 1);
  CHECK(RealOf(harness, {.destination = "203.0.113.11", .source_port = 1, .tcp_flags = kSyn}) == 2);
  CheckSameMemory(harness);
  // One new flow a second. The program's clock may turn before ours: from here on the program alone, and a flow is
  // judged where the second was the same before and after.
  uint32_t ago = 0;
  for (uint16_t port = 2; ago <= SHUNT_SYN_HOLD_SECONDS; ++port) {
    Await([&] { return SecondsSinceRefusal(harness) > ago; });
    ago = SecondsSinceRefusal(harness);
    const auto result = harness.kernel().RunFrame(BuildFrame({.source_port = port, .tcp_flags = kSyn}), kIngress);
    REQUIRE(result);
    if (SecondsSinceRefusal(harness) != ago) continue;
    CHECK(result->frame.at(33) - 10 == (ago <= SHUNT_SYN_HOLD_SECONDS ? 1 : 2));
  }
  // The flow that was remembered meanwhile stays where it is.
  CHECK(harness.kernel().RunFrame(BuildFrame({.source_port = 1}), kIngress).value().frame.at(33) == 11);
}

TEST_CASE("a CPU whose allowance is spent refuses: new flows and old ones go to the previous real") {
  Harness harness(PlanWith(kMoving), 2, 0);
  harness.tables().has_allowance = false;
  CHECK(RealOf(harness, {.tcp_flags = kSyn}) == 1);
  CHECK(RealOf(harness, {.tcp_flags = kAck}) == 1);
  CHECK(RealOf(harness, {.tcp_flags = kRst}) == 1);
  CHECK(RefusalsOfVip(harness).count == 2);
  CHECK(FlowEntries(harness).empty());
  CheckSameMemory(harness);
}

TEST_CASE("an allowance is for one CPU and one second") {
  constexpr uint32_t kAllowance = 10;
  const OneCpu one_cpu;
  Harness harness(PlanWith(kMoving), 2, kAllowance);
  const auto begin = Clock::now();
  for (uint16_t port = 1; FlowEntries(harness).size() <= 2 * kAllowance; ++port) {
    const uint64_t refused = RefusalsOfVip(harness).count;
    REQUIRE(harness.kernel().RunFrame(BuildFrame({.source_port = port}), kIngress));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count();
    // The first second and the last have just begun.
    REQUIRE(FlowEntries(harness).size() <= kAllowance * static_cast<size_t>(seconds + 2));
    if (RefusalsOfVip(harness).count > refused) Await([&] { return SecondsSinceRefusal(harness) > 0; });
  }
  CHECK(RefusalsOfVip(harness).count >= 1);
}

TEST_CASE("tracking all knows no allowance, and a full line drops its flow that was silent longest") {
  Harness harness(PlanWith({.current_real = 1}, Tracking::kAll), 2, 0);
  const auto clients = ClientsOfOneLine(harness, SHUNT_FLOWS_PER_LINE + 1);
  for (size_t i = 0; i < SHUNT_FLOWS_PER_LINE; ++i) CHECK(RealOf(harness, From(clients[i], kSyn)) == 1);
  const Client& silent = clients[3];
  const auto silent_seconds = [&] {
    for (const FlowEntry& entry : FlowEntries(harness)) {
      if (entry.flow.source == Endpoint{Address(silent.address), silent.port}) return entry.idle_seconds;
    }
    return uint32_t{0};
  };
  Await([&] { return silent_seconds() >= 2; });
  for (size_t i = 0; i < SHUNT_FLOWS_PER_LINE; ++i) {
    if (i != 3) RealOf(harness, From(clients[i], kAck));
  }
  RealOf(harness, From(clients.back(), kSyn));
  CHECK(FlowEntries(harness).size() == SHUNT_FLOWS_PER_LINE);
  CHECK_FALSE(IsRemembered(harness, silent));
  CHECK(IsRemembered(harness, clients.back()));
  CHECK(RefusalsOfVip(harness) == Refusals{});
  CHECK(harness.VipTraffic(Vip(kVip)).new_flows == SHUNT_FLOWS_PER_LINE + 1);
}

TEST_CASE("an entry tells how long its flow was silent; a hit begins anew if it confirms or the time told lags") {
  Harness harness(PlanWith(kMoving));
  const auto await_idle_seconds = [&](uint32_t seconds) {
    Await([&] { return FlowEntries(harness).front().idle_seconds >= seconds; });
  };
  RealOf(harness, {.tcp_flags = kSyn});
  CHECK(FlowEntries(harness).front().idle_seconds <= 1);
  await_idle_seconds(2);
  const uint64_t word = FlowEntries(harness).front().ref.word;
  RealOf(harness, {.tcp_flags = kSyn});
  CHECK(FlowEntries(harness).front().ref.word == word);
  RealOf(harness, {.tcp_flags = kAck});
  CHECK(FlowEntries(harness).front().idle_seconds <= 1);
  await_idle_seconds(SHUNT_FLOW_STAMP_LAG_SECONDS);
  RealOf(harness, {.tcp_flags = kAck});
  CHECK(FlowEntries(harness).front().idle_seconds <= 1);
}

}  // namespace
}  // namespace shunt::test

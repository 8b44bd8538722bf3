// SPDX-License-Identifier: Apache-2.0
// What the kernel's data plane has beyond its tables: pins, what it adopts and what it refuses, and the limits of a
// test run. That it and the twin behave alike is the contract tests' business; attaching: kernel_attach_test.cc.
#include "userspace/dataplane/kernel_dataplane.h"

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "tests/dataplane/frames.h"
#include "tests/dataplane/pinned.h"
#include "tests/dataplane/plans.h"
#include "userspace/bpf/pins.h"
#include "userspace/dataplane/flow_hash.h"
#include "userspace/dataplane/verdict.h"

namespace shunt {
namespace {

using Catch::Contains;

std::unique_ptr<KernelDataplane> MustOpenPrivate(const Capacities& capacities) {
  auto dataplane = KernelDataplane::OpenPrivate(capacities);
  INFO((dataplane ? "" : dataplane.error().message));
  REQUIRE(dataplane);
  return std::move(*dataplane);
}

// A ring of which no two neighbours are alike.
Ring RampRing(uint32_t slots) {
  Ring ring(slots);
  for (uint32_t i = 0; i < slots; ++i) {
    ring[i] = {static_cast<uint16_t>(i * 7 % (kMaxRealIndex + 1)), static_cast<uint16_t>(i >> 8), i % 3 == 0};
    if (ring[i].previous_real == 0) ring[i].hold = false;
  }
  return ring;
}

// Chunks of ring memory that this process holds.
size_t RingChunks() {
  size_t chunks = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    const std::string text((std::istreambuf_iterator<char>(info)), {});
    if (text.contains("map_type:\t2\n") && text.contains("value_size:\t64\n") && text.contains("max_entries:\t65536\n"))
      ++chunks;
  }
  return chunks;
}

IpAddress Address(const char* text) { return IpAddress::Parse(text).value(); }

std::string RefusalOf(const KernelDataplaneOptions& options) {
  auto dataplane = KernelDataplane::Open(options);
  REQUIRE_FALSE(dataplane);
  return dataplane.error().message;
}

}  // namespace

TEST_CASE("A folder that is no bpffs is refused with the command that mounts one") {
  KernelDataplaneOptions options;
  options.capacities = kSmall;
  options.bpffs = "/tmp";
  CHECK_THAT(RefusalOf(options), Contains("/tmp: it is not a bpffs; mount it with `mount -t bpf bpf /tmp`"));
  options.bpffs = "/tmp/shunt-no-such-folder";
  CHECK_THAT(RefusalOf(options), Contains("there is no such folder") && Contains("mount -t bpf"));
}

TEST_CASE("The pins' folder is its owner's alone") {
  const TemporaryBpffs bpffs;
  const auto dataplane = MustOpen(Options(bpffs));
  struct stat info{};
  REQUIRE(stat((bpffs.path() + "/shunt").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);
  REQUIRE(stat((PinSet(bpffs) + "/vip_table").c_str(), &info) == 0);
}

TEST_CASE("What one process wrote the next one finds: tables, flows and counters") {
  const TemporaryBpffs bpffs;
  {
    const auto first = MustOpen(Options(bpffs));
    Install(*first);
    REQUIRE(first->RunFrame(ClientFrame(), 1));
  }
  const auto second = MustOpen(Options(bpffs));
  auto plan = second->Read();
  REQUIRE(plan);
  REQUIRE(plan->vips.size() == 1);
  const PlannedVip& vip = plan->vips.at(ServedVip());
  CHECK(vip.entry == ServedPlan().vips.at(ServedVip()).entry);
  CHECK(*vip.ring == Ring(5, {.current_real = 1}));
  CHECK(vip.reals == ServedPlan().vips.at(ServedVip()).reals);
  CHECK(second->ReadFlows(10)->size() == 1);
  CHECK(CountOf(*second, "TX_ENCAPSULATED") == 1);
  const uint32_t id = 3, real = 9;
  CHECK(second->ReadVipTraffic(std::span(&id, 1))->front().packets == 1);
  CHECK(second->ReadRealTraffic(std::span(&real, 1))->front().new_flows == 1);
  CHECK(second->ReadFlowEstimates(std::span(&real, 1))->front() == Approx(1).margin(0.1));
}

TEST_CASE(
    "Slots that had not settled when a process died and the flows remembered for them are found by the next one") {
  const TemporaryBpffs bpffs;
  Plan plan = ServedPlan();
  plan.vips.at(ServedVip()).entry.tracking = Tracking::kMoving;
  test::GiveRing(plan, ServedVip(), {{2, 1, true}, {1, 0}, {1, 1}, {2, 1}, {0, 1}});
  RememberedFlow flow;
  {
    const auto first = MustOpen(Options(bpffs));
    Install(*first, plan);
    for (uint8_t port = 0; first->ReadFlows(1)->empty(); ++port) {  // not every slot remembers
      std::vector<uint8_t> frame = ClientFrame();
      frame[35] = port;
      REQUIRE(first->RunFrame(frame, 1));
    }
    flow = first->ReadFlows(1)->front();
  }
  const auto second = MustOpen(Options(bpffs));
  CHECK(*second->Read()->vips.at(ServedVip()).ring == *plan.vips.at(ServedVip()).ring);
  CHECK(*second->ReadFlows(10) == std::vector{flow});
}

TEST_CASE("A process that takes pins over writes new rings beside those in force, and changes slots where they stand") {
  const TemporaryBpffs bpffs;
  Plan plan = ServedPlan();
  test::GiveRing(plan, ServedVip(), RampRing(65537));
  {
    const auto first = MustOpen(Options(bpffs));
    Install(*first, plan);
  }
  for (int process = 0; process < 3; ++process) {
    const auto next = MustOpen(Options(bpffs));
    PlannedVip& other = plan.vips[test::Vip("203.0.113." + std::to_string(20 + process) + ":80/tcp")];
    other.entry = {.id = 4u + static_cast<uint32_t>(process), .real_base = 12, .real_capacity = 4, .ring_slots = 65537};
    other.ring = std::make_shared<const Ring>(Ring(65537, {.current_real = 3}));
    REQUIRE(next->SetVips(plan));
    Ring ring = *plan.vips.at(ServedVip()).ring;
    const uint32_t slot = 65536;
    ring[slot] = {static_cast<uint16_t>(process + 1), 9};
    test::GiveRing(plan, ServedVip(), ring);
    REQUIRE(next->SetSlots(3, plan.vips.at(ServedVip()).ring, std::span(&slot, 1)));
    const Plan held = *next->Read();
    REQUIRE(held.vips.size() == plan.vips.size());
    for (const auto& [key, vip] : plan.vips) CHECK(*held.vips.at(key).ring == *vip.ring);
  }
}

TEST_CASE("A second process on the same pins is refused, and may come when the first is gone") {
  const TemporaryBpffs bpffs;
  {
    const auto first = MustOpen(Options(bpffs));
    CHECK_THAT(RefusalOf(Options(bpffs)), Contains(bpffs.path() + "/shunt") && Contains("another process uses it"));
  }
  MustOpen(Options(bpffs));
}

TEST_CASE("A process that ends within a moment is waited for, and one that stays is not for long") {
  const TemporaryBpffs bpffs;
  auto held = LockedFolder::Lock(bpffs.path(), "set", LockKind::kRefuse);
  REQUIRE(held);
  std::atomic<bool> is_asked = false;
  auto second = std::async(std::launch::async, [&] {
    is_asked = true;
    return LockedFolder::Lock(bpffs.path(), "set", LockKind::kRefuse);
  });
  while (!is_asked) std::this_thread::yield();
  CHECK(second.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  held = Fail(ErrorKind::kSystem, "it is gone");
  auto got = second.get();
  INFO((got ? "" : got.error().message));
  REQUIRE(got);
  const auto third = LockedFolder::Lock(bpffs.path(), "set", LockKind::kRefuse);
  REQUIRE_FALSE(third);
  CHECK(third.error().kind == ErrorKind::kExists);
  CHECK_THAT(third.error().message, Contains("/set: another process uses it"));
}

TEST_CASE("The next process works on the very maps and the program that the last one pinned") {
  const TemporaryBpffs bpffs;
  const auto ids = [&] {
    std::vector<std::string> lines;
    for (const auto& pin : std::filesystem::directory_iterator(PinSet(bpffs))) {
      const int fd = bpf_obj_get(pin.path().c_str());
      std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
      for (std::string line; std::getline(info, line);)
        if (line.starts_with("map_id:") || line.starts_with("prog_id:"))
          lines.push_back(pin.path().filename().string() + " " + line);
      close(fd);
    }
    std::ranges::sort(lines);
    return lines;
  };
  REQUIRE(MustOpen(Options(bpffs))->Attach());
  const auto before = ids();
  CHECK(before.size() > 15);
  REQUIRE(MustOpen(Options(bpffs))->Attach());
  CHECK(ids() == before);
}

TEST_CASE("A pinned map of another kind is refused by its type") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  const std::string pins = PinSet(bpffs) + "/";
  REQUIRE(rename((pins + "ring_chunks").c_str(), (pins + "vip_table").c_str()) == 0);
  CHECK_THAT(RefusalOf(Options(bpffs)),
             Contains("map vip_table") && Contains("its type is array_of_maps, wanted array"));
}

TEST_CASE("A pin that is missing is refused, not made anew under a program that runs on the old one") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  REQUIRE(unlink((PinSet(bpffs) + "/reals").c_str()) == 0);
  CHECK_THAT(RefusalOf(Options(bpffs)), Contains("map reals") && Contains("it is not there"));
}

TEST_CASE("Pins of a layout that is not known are refused with both layouts and the way out, and stay") {
  for (const std::string set : {"v7", "v3-0123456789abcdef"}) {
    const TemporaryBpffs bpffs;
    REQUIRE(mkdir((bpffs.path() + "/shunt").c_str(), 0700) == 0);
    REQUIRE(mkdir((bpffs.path() + "/shunt/" + set).c_str(), 0700) == 0);
    CHECK_THAT(RefusalOf(Options(bpffs)), Contains("their layout is " + set) && Contains("its own is v3-") &&
                                              Contains("run the version that made them") &&
                                              Contains("shuntctl detach"));
    CHECK(PinSets(bpffs) == std::vector{set});
  }
}

TEST_CASE("What a process left that died while pinning does not stand in the way") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  const std::string set = PinSet(bpffs);
  for (const std::string end : {"-new", "-next"}) {
    REQUIRE(rename(set.c_str(), (set + end).c_str()) == 0);
    MustOpen(Options(bpffs));
    CHECK(PinSet(bpffs) == set);
  }
}

TEST_CASE("A capacity of nothing, or of more VIPs than the table can have, is refused before the kernel is asked") {
  for (const Capacities& capacities : {Capacities{.max_vips = 16, .max_reals = 0, .max_flows = 16},
                                       Capacities{.max_vips = UINT32_MAX, .max_reals = 16, .max_flows = 16}}) {
    auto dataplane = KernelDataplane::OpenPrivate(capacities);
    REQUIRE_FALSE(dataplane);
    CHECK(dataplane.error().kind == ErrorKind::kInvalid);
  }
}

TEST_CASE("A frame that the test run cannot take is refused with its size") {
  auto dataplane = KernelDataplane::OpenPrivate(kSmall);
  REQUIRE(dataplane);
  for (const size_t bytes : {size_t{0}, size_t{13}, size_t{200000}}) {
    auto result = (*dataplane)->RunFrame(std::vector<uint8_t>(bytes), 1);
    REQUIRE_FALSE(result);
    CHECK_THAT(result.error().message, Contains("a frame of " + std::to_string(bytes) + " bytes"));
  }
  auto nowhere = (*dataplane)->RunFrame(ClientFrame(), 4242);
  REQUIRE_FALSE(nowhere);
  CHECK_THAT(nowhere.error().message, Contains("there is no interface 4242"));
}

TEST_CASE("The largest ring is written, replaced by others and read back") {
  const auto dataplane = MustOpenPrivate(kSmall);
  Plan plan = ServedPlan();
  for (const uint32_t slots : {655373u, 65537u, 655373u, 655373u, 1u}) {
    test::GiveRing(plan, ServedVip(), RampRing(slots));
    Install(*dataplane, plan);
    CHECK(*dataplane->Read()->vips.at(ServedVip()).ring == *plan.vips.at(ServedVip()).ring);
  }
}

TEST_CASE("Packets find their slots in a ring that lies on both sides of a border between chunks") {
  const auto dataplane = MustOpenPrivate(kSmall);
  constexpr uint32_t kSlots = 655373;  // 40961 of the 65536 lines of a chunk: the second such ring crosses the border
  const std::string_view vips[] = {"203.0.113.1:443/tcp", "203.0.113.2:443/tcp"};
  std::vector<test::RealSpec> reals;
  std::vector<std::string> addresses;
  for (int real = 1; real <= 15; ++real) addresses.push_back("10.0.0." + std::to_string(real));
  for (const std::string& address : addresses) reals.push_back({address});
  Plan plan = test::MakePlan({{.vip = vips[0], .reals = reals}, {.vip = vips[1], .reals = reals}});
  for (const std::string_view vip : vips) {
    Ring ring(kSlots);
    for (uint32_t slot = 0; slot < kSlots; ++slot) ring[slot].current_real = static_cast<uint16_t>(1 + slot % 15);
    test::GiveRing(plan, test::Vip(vip), ring);
  }
  Install(*dataplane, plan);
  for (const std::string_view vip : vips) {
    const PlannedVip& planned = plan.vips.at(test::Vip(vip));
    const std::string destination = test::Vip(vip).address.ToString();
    for (uint16_t port = 1; port <= 2000; ++port) {
      const uint64_t hash = FlowHash(planned.entry.flow_hash_key, {Address("198.51.100.7"), port}, 443);
      const auto run =
          dataplane->RunFrame(test::BuildFrame({.destination = destination, .source_port = port}), test::kIngress);
      REQUIRE(run);
      REQUIRE(run->frame.at(33) == planned.ring->at(SlotOf(hash, kSlots)).current_real);
    }
  }
}

TEST_CASE("The memory of rings is used again: 200 publishes take no more than the first few") {
  const auto dataplane = MustOpenPrivate(kSmall);
  Plan plan = ServedPlan();
  size_t chunks = 0;
  std::chrono::duration<double, std::milli> shortest = std::chrono::hours(1);
  for (int round = 0; round < 200; ++round) {
    // In a chunk is room for fifteen rings of this size.
    test::GiveRing(plan, ServedVip(), Ring(65537, {.current_real = static_cast<uint16_t>(1 + round)}));
    REQUIRE(dataplane->Synchronize());
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(dataplane->SetVips(plan));
    shortest = std::min<decltype(shortest)>(shortest, std::chrono::steady_clock::now() - begin);
    if (round == 10) chunks = RingChunks();
  }
  std::printf("publishing a ring of 65537 slots: %.2f ms\n", shortest.count());
  CHECK(chunks > 0);
  CHECK(RingChunks() == chunks);
  CHECK(dataplane->Read()->vips.at(ServedVip()).ring->at(65536).current_real == 200);
}

TEST_CASE("Many flows are read up to the limit, and those of no real are forgotten") {
  const auto dataplane = MustOpenPrivate({.max_vips = 16, .max_reals = 64, .max_flows = 65536});
  Install(*dataplane);
  constexpr uint32_t kFlows = 10000;
  std::vector<uint8_t> frame = ClientFrame();
  for (uint32_t flow = 0; flow < kFlows; ++flow) {
    frame[28] = static_cast<uint8_t>(flow >> 8);
    frame[29] = static_cast<uint8_t>(flow);
    REQUIRE(dataplane->RunFrame(frame, 1));
  }
  CHECK(dataplane->ReadFlows(SIZE_MAX)->size() == kFlows);
  CHECK(dataplane->ReadFlows(4097)->size() == 4097);
  REQUIRE(dataplane->ForgetFlowsExcept(ServedPlan()));
  CHECK(dataplane->ReadFlows(SIZE_MAX)->size() == kFlows);
  REQUIRE(dataplane->ForgetFlowsExcept(Plan{}));
  CHECK(dataplane->ReadFlows(SIZE_MAX)->empty());
}

}  // namespace shunt

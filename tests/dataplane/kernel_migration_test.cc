// SPDX-License-Identifier: Apache-2.0
// From older maps, or maps of other sizes, to new ones while packets pass: what is carried over, what is left behind,
// and where a process may die on the way. With the program of an earlier build: tests/lab/old_build.sh.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>

#include "tests/dataplane/frames.h"
#include "tests/dataplane/pinned.h"
#include "tests/dataplane/plans.h"

namespace shunt {
namespace {

using Catch::Contains;

KernelDataplaneOptions Small(const TemporaryBpffs& bpffs, std::vector<std::string> interfaces = {}) {
  KernelDataplaneOptions options = Options(bpffs, std::move(interfaces));
  options.flow_entries_per_second = 1000;
  return options;
}

KernelDataplaneOptions Larger(KernelDataplaneOptions options) {
  options.capacities = {.max_vips = 64, .max_reals = 256, .max_flows = 1024};
  return options;
}

// As version 2 pinned: fewer maps, no chunks, no program.
void MakeOld(const TemporaryBpffs& bpffs) {
  const std::string set = PinSet(bpffs), old = bpffs.path() + "/shunt/v2";
  for (const auto& pin : std::filesystem::directory_iterator(set)) {
    const std::string name = pin.path().filename();
    if (name == "program" || name == "constants" || name.starts_with("ring_chunk:") || name.ends_with("p_carried") ||
        name == "verdict_carried")
      REQUIRE(unlink(pin.path().c_str()) == 0);
  }
  REQUIRE(rename(set.c_str(), old.c_str()) == 0);
}

Plan MovingPlan() {
  Plan plan = ServedPlan();
  plan.vips.at(ServedVip()).entry.tracking = Tracking::kMoving;
  plan.vips.at(ServedVip()).reals.at(2) = test::MakeReal({.address = "10.0.0.12"});
  test::GiveRing(plan, ServedVip(), {{2, 1}, {2, 1}, {1, 1}, {2, 0}, {1, 2}});
  return plan;
}

std::vector<uint8_t> FrameFrom(uint16_t port) {
  std::vector<uint8_t> frame = ClientFrame();
  frame[34] = static_cast<uint8_t>(port >> 8);
  frame[35] = static_cast<uint8_t>(port);
  return frame;
}

uint64_t VipPackets(Dataplane& dataplane) {
  const uint32_t id = 3;
  return dataplane.ReadVipTraffic(std::span(&id, 1))->front().packets;
}

uint64_t RealPackets(Dataplane& dataplane, uint32_t entry) {
  return dataplane.ReadRealTraffic(std::span(&entry, 1))->front().packets;
}

std::set<RememberedFlow> Flows(Dataplane& dataplane) {
  const auto flows = dataplane.ReadFlows(SIZE_MAX);
  return {flows->begin(), flows->end()};
}

void MustAttach(KernelDataplane& dataplane) {
  const auto attached = dataplane.Attach();
  INFO((attached ? "" : attached.error().message));
  REQUIRE(attached);
}

struct Seen {
  uint64_t vip, real1, real2, sent;
  std::set<RememberedFlow> flows;
  bool operator==(const Seen&) const = default;
};
Seen See(Dataplane& dataplane) {
  return {VipPackets(dataplane), RealPackets(dataplane, 9), RealPackets(dataplane, 10),
          CountOf(dataplane, "TX_ENCAPSULATED"), Flows(dataplane)};
}

}  // namespace

TEST_CASE("VIPs, rings, reals, flows and counts go over to maps of other sizes, and the old ones go") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Small(bpffs, {"v0"});
  Seen before;
  {
    const auto old = MustOpen(options);
    Install(*old, MovingPlan());
    MustAttach(*old);
    for (uint16_t port = 1; port <= 40; ++port) REQUIRE(old->RunFrame(FrameFrom(port), 1));
    before = See(*old);
    REQUIRE(before.flows.size() > 10);
  }
  const std::string set = PinSet(bpffs);
  const uint32_t program = XdpProgramId("v0");
  const auto next = MustOpen(Larger(options));
  CHECK(XdpProgramId("v0") == program);  // the old one works until the tables are as they shall be
  CHECK(See(*next) == before);
  MustAttach(*next);
  CHECK(XdpProgramId("v0") != program);
  CHECK(PinSet(bpffs) == set);
  CHECK(See(*next) == before);
  const Plan plan = *next->Read();
  CHECK(plan.vips.at(ServedVip()).reals == MovingPlan().vips.at(ServedVip()).reals);
  CHECK(plan.vips.at(ServedVip()).entry == MovingPlan().vips.at(ServedVip()).entry);
  REQUIRE(next->notes().size() == 1);
  CHECK_THAT(next->notes().front(),
             Contains("1 VIPs") && Contains(std::to_string(before.flows.size()) + " remembered"));
  SendFrame("v1", FrameFrom(1));
  CHECK(Comes([&] { return VipPackets(*next) == before.vip + 1; }));
  CHECK(Flows(*next) == before.flows);
}

TEST_CASE("What packets do between the copy and the change of programs is carried over, too") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Small(bpffs, {"v0"});
  Plan plan = ServedPlan();  // every flow is remembered
  {
    const auto old = MustOpen(options);
    Install(*old, plan);
    MustAttach(*old);
    SendFrame("v1", FrameFrom(1));
    REQUIRE(Comes([&] { return VipPackets(*old) == 1; }));
  }
  const auto next = MustOpen(Larger(options));
  CHECK(VipPackets(*next) == 1);
  for (uint16_t port = 2; port <= 9; ++port) SendFrame("v1", FrameFrom(port));
  SendFrame("v1", test::BuildFrame({.destination = "203.0.113.99"}));
  MustAttach(*next);
  // Frames may still be on their way through the old program when it is replaced; none is lost.
  CHECK(Comes([&] { return VipPackets(*next) == 9; }));
  CHECK(Flows(*next).size() == 9);
  CHECK(RealPackets(*next, 9) == 9);
  CHECK(CountOf(*next, "REDIRECT_ENCAPSULATED") == 9);
  CHECK(CountOf(*next, "PASS_NOT_VIP") >= 1);
}

TEST_CASE("A set of version 2 is taken over from, with the program that is attached") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Small(bpffs, {"v0"});
  Seen before;
  std::string set;
  {
    const auto old = MustOpen(options);
    Install(*old, MovingPlan());
    MustAttach(*old);
    for (uint16_t port = 1; port <= 40; ++port) REQUIRE(old->RunFrame(FrameFrom(port), 1));
    before = See(*old);
    set = PinSet(bpffs);
    MakeOld(bpffs);
  }
  const auto next = MustOpen(options);
  CHECK(PinSets(bpffs).size() == 2);
  MustAttach(*next);
  CHECK(PinSet(bpffs) == set);
  CHECK(See(*next) == before);
}

TEST_CASE("Slots that move are on hold in both sets while programs change") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Small(bpffs);
  {
    Install(*MustOpen(options), MovingPlan());
  }
  const auto next = MustOpen(Larger(options));
  const Ring held{{2, 1, true}, {2, 1, true}, {1, 1}, {2, 0}, {1, 2, true}};
  CHECK(*next->Read()->vips.at(ServedVip()).ring == held);
}

TEST_CASE("A process that dies before it attaches leaves the old maps in force") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Small(bpffs, {"v0"});
  {
    const auto old = MustOpen(options);
    Install(*old);
    MustAttach(*old);
  }
  const uint32_t program = XdpProgramId("v0");
  {
    MustOpen(Larger(options));
  }
  const auto again = MustOpen(options);
  MustAttach(*again);
  CHECK(XdpProgramId("v0") == program);
  PinSet(bpffs);
  CHECK(again->Read()->vips.size() == 1);
}

TEST_CASE("A process that dies while it takes over is followed by one that ends it") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Small(bpffs, {"v0", "v1"});
  {
    KernelDataplaneOptions one = options;
    one.interfaces = {"v0"};
    const auto old = MustOpen(one);
    Install(*old);
    MustAttach(*old);
    REQUIRE(old->RunFrame(ClientFrame(), 1));
  }
  const std::string set = PinSet(bpffs);
  const uint32_t program = XdpProgramId("v0");
  {
    AttachForeignProgram("v1");
    const auto dying = MustOpen(Larger(options));
    CHECK_FALSE(dying->Attach());  // v0 has the new program, the other interface cannot have it
    CHECK(XdpProgramId("v0") != program);
  }
  CHECK(PinSets(bpffs) == std::vector<std::string>{std::filesystem::path(set).filename(),
                                                   std::filesystem::path(set).filename().string() + "-taking-over"});
  auto other = KernelDataplane::Open(options);  // the old capacities
  REQUIRE_FALSE(other);
  CHECK_THAT(other.error().message, Contains("did not end") && Contains("--max_flows"));
  KernelDataplaneOptions one = Larger(options);
  one.interfaces = {"v0"};
  const auto next = MustOpen(one);
  MustAttach(*next);
  CHECK(PinSet(bpffs) == set);
  CHECK(VipPackets(*next) == 1);
  CHECK(Flows(*next).size() == 1);
}

TEST_CASE("Capacities that are too small for what is there are refused with what does not fit, and nothing changes") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Small(bpffs, {"v0"});
  {
    const auto old = MustOpen(options);
    Install(*old);
    MustAttach(*old);
  }
  const uint32_t program = XdpProgramId("v0");
  KernelDataplaneOptions smaller = options;
  smaller.capacities.max_vips = 2;
  auto refused = KernelDataplane::Open(smaller);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Contains("203.0.113.10:443/udp") && Contains("id 3"));
  CHECK(XdpProgramId("v0") == program);
  MustAttach(*MustOpen(options));
  CHECK(XdpProgramId("v0") == program);
  PinSet(bpffs);
}

TEST_CASE("An interface that is not balanced any more does not keep the program whose maps go") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  {
    MustAttach(*MustOpen(Small(bpffs, {"v0", "v1"})));
  }
  const auto next = MustOpen(Larger(Small(bpffs, {"v0"})));
  MustAttach(*next);
  CHECK(XdpProgramId("v0") != 0);
  CHECK(XdpProgramId("v1") == 0);
  CHECK_THAT(next->notes().front(), Contains("v1 had the earlier program"));
}

}  // namespace shunt

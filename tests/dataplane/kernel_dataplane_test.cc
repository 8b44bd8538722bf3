// SPDX-License-Identifier: Apache-2.0
// What the kernel's data plane has beyond its tables: pins, what it adopts and what it refuses, and the limits of a
// test run. That it and the twin behave alike is the contract tests' business; attaching: kernel_attach_test.cc.
#include "userspace/dataplane/kernel_dataplane.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/dataplane/pinned.h"
#include "tests/dataplane/plans.h"
#include "userspace/dataplane/verdict.h"

namespace shunt {
namespace {

using Catch::Contains;

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
  REQUIRE(stat((bpffs.path() + "/shunt/v1/vips").c_str(), &info) == 0);
}

TEST_CASE("What one process wrote the next one finds: tables, flows and counters") {
  const TemporaryBpffs bpffs;
  VipEntry entry;
  {
    const auto first = MustOpen(Options(bpffs));
    entry = Install(*first);
    REQUIRE(first->RunFrame(ClientFrame(), 1));
  }
  const auto second = MustOpen(Options(bpffs));
  auto plan = second->Read();
  REQUIRE(plan);
  REQUIRE(plan->vips.size() == 1);
  const PlannedVip& vip = plan->vips.at(ServedVip());
  CHECK(vip.entry == entry);
  CHECK(*vip.ring == Ring(5, {1, 0}));
  REQUIRE(vip.reals.size() == 2);
  CHECK(vip.reals.at(1).address == Address("10.0.0.11"));
  CHECK_FALSE(vip.reals.at(2).outer);
  CHECK(second->ReadFlows(10)->size() == 1);
  CHECK(CountOf(*second, "TX_ENCAPSULATED") == 1);
  const uint32_t id = 3, real = 9;
  CHECK(second->ReadVipTraffic(std::span(&id, 1))->front().packets == 1);
  CHECK(second->ReadRealTraffic(std::span(&real, 1))->front().new_flows == 1);
}

TEST_CASE("A process that died between a VIP and its address is tidied up after") {
  const TemporaryBpffs bpffs;
  {
    const auto first = MustOpen(Options(bpffs));
    Install(*first);
    REQUIRE(first->RemoveAddress(ServedVip().address));
    REQUIRE(first->SetAddress(Address("203.0.113.99"), {.has_tcp = true, .has_udp = true}));
  }
  const auto second = MustOpen(Options(bpffs));
  // A ping shows whether an address is known to be a VIP's.
  std::vector<uint8_t> ping = ClientFrame();
  ping[23] = 1;
  CHECK(VerdictOf(second->RunFrame(ping, 1)->verdict).name == "PASS_ICMP");
  ping[33] = 99;
  CHECK(VerdictOf(second->RunFrame(ping, 1)->verdict).name == "PASS_NOT_VIP");
}

TEST_CASE("A second process on the same pins is refused, and may come when the first is gone") {
  const TemporaryBpffs bpffs;
  {
    const auto first = MustOpen(Options(bpffs));
    CHECK_THAT(RefusalOf(Options(bpffs)), Contains(bpffs.path() + "/shunt") && Contains("another process uses it"));
  }
  MustOpen(Options(bpffs));
}

TEST_CASE("Pins of other capacities are refused with map, both numbers and the way out, and stay") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  KernelDataplaneOptions larger = Options(bpffs);
  larger.capacities.max_vips = 32;
  CHECK_THAT(RefusalOf(larger),
             Contains("map vips pinned in " + bpffs.path() + "/shunt/v1: it holds 32 entries, wanted 64") &&
                 Contains("rm -r " + bpffs.path() + "/shunt"));
  larger = Options(bpffs);
  larger.capacities.max_flows = 64;
  CHECK_THAT(RefusalOf(larger), Contains("map flows") && Contains("it holds 128 entries, wanted 64"));
  MustOpen(Options(bpffs));
}

TEST_CASE("A pinned map of another kind is refused by its type") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  const std::string pins = bpffs.path() + "/shunt/v1/";
  REQUIRE(rename((pins + "flows").c_str(), (pins + "vips").c_str()) == 0);
  CHECK_THAT(RefusalOf(Options(bpffs)), Contains("map vips") && Contains("its type is lru_hash, wanted hash"));
}

TEST_CASE("A pin that is missing is refused, not made anew under a program that runs on the old one") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  REQUIRE(unlink((bpffs.path() + "/shunt/v1/reals").c_str()) == 0);
  CHECK_THAT(RefusalOf(Options(bpffs)), Contains("map reals") && Contains("it is not there"));
}

TEST_CASE("Pins of another ABI version are refused") {
  const TemporaryBpffs bpffs;
  REQUIRE(mkdir((bpffs.path() + "/shunt").c_str(), 0700) == 0);
  REQUIRE(mkdir((bpffs.path() + "/shunt/v7").c_str(), 0700) == 0);
  CHECK_THAT(RefusalOf(Options(bpffs)), Contains("of ABI version v7, this program has version v1"));
}

TEST_CASE("What a process left that died while pinning does not stand in the way") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  REQUIRE(rename((bpffs.path() + "/shunt/v1").c_str(), (bpffs.path() + "/shunt/v1-new").c_str()) == 0);
  MustOpen(Options(bpffs));
}

TEST_CASE("A capacity of nothing is refused before the kernel is asked") {
  auto dataplane = KernelDataplane::OpenPrivate({.max_vips = 16, .max_reals = 0, .max_flows = 16});
  REQUIRE_FALSE(dataplane);
  CHECK(dataplane.error().kind == ErrorKind::kInvalid);
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

TEST_CASE("The largest ring is written, swapped for another and read back") {
  auto dataplane = KernelDataplane::OpenPrivate(kSmall);
  REQUIRE(dataplane);
  VipEntry entry = Install(**dataplane);
  for (const uint32_t slots : {655373u, 65537u, 1u}) {
    Ring ring(slots);
    for (uint32_t i = 0; i < slots; ++i) ring[i] = {static_cast<uint16_t>(i * 7), static_cast<uint16_t>(i >> 8)};
    entry.ring_slots = slots;
    REQUIRE(test::SetRing(**dataplane, 6, ring));
    REQUIRE((*dataplane)->SetVip(ServedVip(), entry));
    CHECK(*(*dataplane)->Read()->vips.at(ServedVip()).ring == ring);
  }
  REQUIRE((*dataplane)->RemoveRing(6));
  REQUIRE((*dataplane)->RemoveRing(6));
  CHECK((*dataplane)->Read()->vips.at(ServedVip()).ring->empty());
}

TEST_CASE("More flows than one batch are read up to the limit, and those of no real are forgotten") {
  auto dataplane = KernelDataplane::OpenPrivate({.max_vips = 16, .max_reals = 64, .max_flows = 65536});
  REQUIRE(dataplane);
  Install(**dataplane);
  constexpr uint32_t kFlows = 10000;
  std::vector<uint8_t> frame = ClientFrame();
  for (uint32_t flow = 0; flow < kFlows; ++flow) {
    frame[28] = static_cast<uint8_t>(flow >> 8);
    frame[29] = static_cast<uint8_t>(flow);
    REQUIRE((*dataplane)->RunFrame(frame, 1));
  }
  CHECK((*dataplane)->ReadFlows(SIZE_MAX)->size() == kFlows);
  CHECK((*dataplane)->ReadFlows(4097)->size() == 4097);
  REQUIRE((*dataplane)->ForgetFlowsExcept(*(*dataplane)->Read()));
  CHECK((*dataplane)->ReadFlows(SIZE_MAX)->size() == kFlows);
  REQUIRE((*dataplane)->ForgetFlowsExcept(Plan{}));
  CHECK((*dataplane)->ReadFlows(SIZE_MAX)->empty());
}

}  // namespace shunt

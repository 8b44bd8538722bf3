// SPDX-License-Identifier: Apache-2.0
// Upgrade() and DetachEverything(): what they report, what they change, and what they leave alone.
#include "userspace/dataplane/upgrade.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/dataplane/pinned.h"

namespace shunt {
namespace {

using Catch::Contains;

UpgradeReport MustUpgrade(const TemporaryBpffs& bpffs, bool dry_run) {
  auto report = Upgrade(bpffs.path(), dry_run);
  INFO((report ? "" : report.error().message));
  REQUIRE(report);
  return *report;
}

}  // namespace

TEST_CASE("Where no balancer is pinned there is nothing to upgrade, and nothing to detach") {
  const TemporaryBpffs bpffs;
  auto report = Upgrade(bpffs.path(), true);
  REQUIRE_FALSE(report);
  CHECK(report.error().kind == ErrorKind::kNotFound);
  CHECK(access((bpffs.path() + "/shunt").c_str(), F_OK) != 0);
  auto removed = DetachEverything(bpffs.path());
  REQUIRE(removed);
  CHECK(removed->empty());
}

TEST_CASE("The same program is told as such, also while shuntd runs, and stays") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const auto running = MustOpen(Options(bpffs, {"v0"}));
  REQUIRE(running->Attach());
  const uint32_t program = XdpProgramId("v0");
  for (const bool dry_run : {true, false}) {
    const UpgradeReport report = MustUpgrade(bpffs, dry_run);
    CHECK_FALSE(report.is_upgrade);
    CHECK(report.hitless);
    CHECK(report.maps_stay);
    REQUIRE(report.interfaces.size() == 1);
    CHECK(report.interfaces.front().interface == "v0");
    CHECK(report.interfaces.front().how == "the program stays");
  }
  CHECK(XdpProgramId("v0") == program);
}

TEST_CASE("A set of version 2 is told to be copied when shuntd starts, one that is not known as in the way") {
  const TemporaryBpffs bpffs;
  MustOpen(Options(bpffs));
  REQUIRE(rename(PinSet(bpffs).c_str(), (bpffs.path() + "/shunt/v2").c_str()) == 0);
  UpgradeReport report = MustUpgrade(bpffs, true);
  CHECK(report.hitless);
  CHECK_FALSE(report.maps_stay);
  CHECK_THAT(report.maps, Contains("v2 are copied to new ones"));
  REQUIRE(rename((bpffs.path() + "/shunt/v2").c_str(), (bpffs.path() + "/shunt/v9").c_str()) == 0);
  report = MustUpgrade(bpffs, true);
  CHECK_FALSE(report.hitless);
  CHECK_THAT(report.maps, Contains("v9 are not known"));
}

TEST_CASE("Detaching everything is refused while shuntd runs; then it names what it removed, and leaves others alone") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  {
    const auto running = MustOpen(Options(bpffs, {"v0"}));
    REQUIRE(running->Attach());
    auto refused = DetachEverything(bpffs.path());
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Contains("stop shuntd first"));
    CHECK(XdpProgramId("v0") != 0);
  }
  const uint32_t stranger = AttachForeignProgram("v1");
  auto removed = DetachEverything(bpffs.path());
  REQUIRE(removed);
  REQUIRE(removed->size() == 2);
  CHECK(removed->front() == "v0: the balancer's program");
  CHECK_THAT(removed->back(), Contains("/shunt/v3-") && Contains("pins of maps and programs"));
  CHECK(XdpProgramId("v0") == 0);
  CHECK(XdpProgramId("v1") == stranger);
  CHECK(access((bpffs.path() + "/shunt").c_str(), F_OK) != 0);
}

}  // namespace shunt

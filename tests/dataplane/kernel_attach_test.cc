// SPDX-License-Identifier: Apache-2.0
// The balancer on interfaces: what stays, what is replaced, what is refused, and how that is told.
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/dataplane/pinned.h"
#include "tests/dataplane/plans.h"
#include "userspace/bpf/xdp.h"

namespace shunt {
namespace {

using Catch::Contains;

std::string AttachRefusal(KernelDataplane& dataplane) {
  auto attached = dataplane.Attach();
  REQUIRE_FALSE(attached);
  return attached.error().message;
}

KernelDataplane::Attachment MustAttach(KernelDataplane& dataplane) {
  auto attached = dataplane.Attach();
  INFO((attached ? "" : attached.error().message));
  REQUIRE(attached);
  REQUIRE(attached->size() == 1);
  return attached->front();
}

// Ids of the programs that packets on an interface meet, without libxdp's dispatcher.
std::vector<uint32_t> ProgramsOn(const std::string& interface) {
  auto presence = InspectXdp(interface);
  REQUIRE(presence);
  std::vector<uint32_t> ids;
  for (const ProgramIdentity& program : presence->programs) ids.push_back(program.id);
  return ids;
}

}  // namespace

TEST_CASE("An attached program outlives the process, and tables written later take effect in it") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const KernelDataplaneOptions options = Options(bpffs, {"v0"});
  {
    const auto first = MustOpen(options);
    const auto attachment = MustAttach(*first);
    CHECK(attachment.interface == "v0");
    CHECK(attachment.native);
    CHECK_FALSE(attachment.was_there);
  }
  const uint32_t program = XdpProgramId("v0");
  REQUIRE(program != 0);
  const auto second = MustOpen(options);
  Plan plan = ServedPlan();
  test::GiveRing(plan, ServedVip(), {});
  Install(*second, plan);
  SendFrame("v1", ClientFrame());
  CHECK(Comes([&] { return CountOf(*second, "DROP_NO_REAL") == 1; }));
  CHECK(MustAttach(*second).was_there);
  CHECK(XdpProgramId("v0") == program);
}

TEST_CASE("A program of ours with other settings is replaced on the same tables") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  KernelDataplaneOptions options = Options(bpffs, {"v0"});
  const auto attach = [&] { return MustAttach(*MustOpen(options)); };
  attach();
  const uint32_t program = XdpProgramId("v0");
  options.max_vlan_tags = 0;
  CHECK(attach().was_there);
  CHECK(XdpProgramId("v0") != program);
  const auto dataplane = MustOpen(options);
  Install(*dataplane);
  std::vector<uint8_t> tagged = ClientFrame();
  tagged.insert(tagged.begin() + 12, {0x81, 0, 0, 5});
  const uint64_t before = CountOf(*dataplane, "PASS_NOT_IP");
  SendFrame("v1", tagged);
  CHECK(Comes([&] { return CountOf(*dataplane, "PASS_NOT_IP") > before; }));
}

TEST_CASE("A program of somebody else is refused by name and id, and left alone") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const uint32_t foreign = AttachForeignProgram("v0");
  const auto dataplane = MustOpen(Options(bpffs, {"v1", "v0"}));
  CHECK_THAT(AttachRefusal(*dataplane), Contains("attaching to v0") && Contains("\"stranger\"") &&
                                            Contains(std::to_string(foreign)) &&
                                            Contains("ip link set dev v0 xdp off"));
  CHECK(XdpProgramId("v0") == foreign);
  CHECK(XdpProgramId("v1") == 0);  // what was attached before the error is detached again
  REQUIRE(dataplane->Detach());
  CHECK(XdpProgramId("v0") == foreign);
}

TEST_CASE("After an error an interface that had our program before keeps it") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  MustAttach(*MustOpen(Options(bpffs, {"v1"})));
  const uint32_t program = XdpProgramId("v1");
  AttachForeignProgram("v0");
  AttachRefusal(*MustOpen(Options(bpffs, {"v1", "v0"})));
  CHECK(XdpProgramId("v1") == program);
}

TEST_CASE("Detaching takes the program off, removes every pin and lets another start afresh") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const auto dataplane = MustOpen(Options(bpffs, {"v0", "v1"}));
  REQUIRE(dataplane->Attach());
  Shell("ip link del v0");  // an interface that is gone is no reason to fail
  REQUIRE(dataplane->Detach());
  CHECK(access((bpffs.path() + "/shunt").c_str(), F_OK) != 0);
  MustOpen(Options(bpffs));
}

TEST_CASE("One interface that is not there does not keep the program from the others, and can have it when it comes") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const auto dataplane = MustOpen(Options(bpffs, {"eth7", "v0"}));
  CHECK(MustAttach(*dataplane).interface == "v0");
  CHECK(dataplane->AttachTo("eth7").error().kind == ErrorKind::kNotFound);
  Shell("ip link add eth7 type veth peer name eth8");
  const auto attached = dataplane->AttachTo("eth7");
  REQUIRE(attached);
  CHECK_FALSE(attached->was_there);
  const uint32_t program = XdpProgramId("eth7");
  CHECK(program != 0);
  CHECK(dataplane->AttachTo("eth7")->was_there);
  CHECK(XdpProgramId("eth7") == program);
}

TEST_CASE("An interface that does not exist is refused by name, one that is down is not") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  {
    const auto dataplane = MustOpen(Options(bpffs, {"eth7"}));
    auto attached = dataplane->Attach();
    REQUIRE_FALSE(attached);
    CHECK(attached.error().kind == ErrorKind::kNotFound);
    CHECK_THAT(attached.error().message, Contains("eth7: there is no such interface"));
  }
  Shell("ip link set v0 down");
  MustAttach(*MustOpen(Options(bpffs, {"v0"})));
}

TEST_CASE("An MTU that native XDP cannot have is told with the remedy, also in mode auto") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  Shell("ip link set v0 mtu 9000 && ip link set v1 mtu 9000");
  for (const XdpMode mode : {XdpMode::kAuto, XdpMode::kNative}) {
    KernelDataplaneOptions options = Options(bpffs, {"v0"});
    options.xdp_mode = mode;
    CHECK_THAT(AttachRefusal(*MustOpen(options)),
               Contains("v0") && Contains("MTU is too large") && Contains("lower it"));
    CHECK(XdpProgramId("v0") == 0);
  }
  KernelDataplaneOptions options = Options(bpffs, {"v0"});
  options.xdp_mode = XdpMode::kGeneric;
  CHECK_FALSE(MustAttach(*MustOpen(options)).native);
}

TEST_CASE("Where the driver has no XDP mode auto takes generic and says so, and mode native fails") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  Shell("ip link add b0 type bridge");
  KernelDataplaneOptions options = Options(bpffs, {"b0"});
  options.xdp_mode = XdpMode::kNative;
  CHECK_THAT(AttachRefusal(*MustOpen(options)), Contains("b0") && Contains("no native XDP"));
  options.xdp_mode = XdpMode::kAuto;
  CHECK_FALSE(MustAttach(*MustOpen(options)).native);
}

TEST_CASE("A change of mode takes effect, and auto keeps the mode that is") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  KernelDataplaneOptions options = Options(bpffs, {"v0"});
  const auto native_in = [&](XdpMode mode) {
    options.xdp_mode = mode;
    return MustAttach(*MustOpen(options)).native;
  };
  CHECK_FALSE(native_in(XdpMode::kGeneric));
  CHECK_FALSE(native_in(XdpMode::kAuto));
  CHECK(native_in(XdpMode::kNative));
  CHECK(native_in(XdpMode::kAuto));
}

TEST_CASE("A change of mode that the driver refuses leaves the old program in place") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  Shell("ip link add b0 type bridge");
  KernelDataplaneOptions options = Options(bpffs, {"b0"});
  MustAttach(*MustOpen(options));
  const std::vector<uint32_t> programs = ProgramsOn("b0");
  REQUIRE(programs.size() == 1);
  options.xdp_mode = XdpMode::kNative;
  AttachRefusal(*MustOpen(options));
  CHECK(ProgramsOn("b0") == programs);
}

TEST_CASE("Beside somebody else's program ours runs where libxdp's dispatcher does, and is refused where not") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs, other_bpffs;
  MustAttach(*MustOpen(Options(other_bpffs, {"v0"})));  // other pins: somebody else
  const std::vector<uint32_t> others = ProgramsOn("v0");
  REQUIRE(others.size() == 1);
  KernelDataplaneOptions options = Options(bpffs, {"v0"});
  if (!InspectXdp("v0")->dispatcher) {
    CHECK_THAT(AttachRefusal(*MustOpen(options)), Contains("\"balancer\"") && Contains(std::to_string(others.front())));
    CHECK(ProgramsOn("v0") == others);
    return;
  }
  CHECK_FALSE(MustAttach(*MustOpen(options)).was_there);
  const std::vector<uint32_t> both = ProgramsOn("v0");
  CHECK(both.size() == 2);
  CHECK(MustAttach(*MustOpen(options)).was_there);
  CHECK(ProgramsOn("v0") == both);
  options.max_vlan_tags = 0;  // another version of ours
  CHECK(MustAttach(*MustOpen(options)).was_there);
  CHECK(ProgramsOn("v0").size() == 2);
  CHECK(ProgramsOn("v0") != both);
  REQUIRE(MustOpen(options)->Detach());
  CHECK(ProgramsOn("v0") == others);
}

TEST_CASE("Neither libbpf nor libxdp writes to standard error") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const CapturedStderr captured;
  AttachForeignProgram("v0");
  AttachRefusal(*MustOpen(Options(bpffs, {"v0"})));
  MustAttach(*MustOpen(Options(bpffs, {"v1"})));
  Shell("ip link set v1 xdp off && ip link set v0 xdp off && ip link set v0 mtu 9000 && ip link set v1 mtu 9000");
  AttachRefusal(*MustOpen(Options(bpffs, {"v1"})));
  CHECK(captured.text().empty());
}

}  // namespace shunt

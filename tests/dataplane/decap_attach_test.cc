// SPDX-License-Identifier: Apache-2.0
// Decapsulation as `shuntctl decap` drives it: attaching, counting, changing the list, detaching, refusing.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "tests/dataplane/sandbox.h"
#include "userspace/bpf/decap.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt {
namespace {

using Catch::Contains;

IpAddress Address(const char* text) { return IpAddress::Parse(text).value(); }
const IpAddress kVip = Address("203.0.113.10");

// A client's packet to the VIP in an outer IPv4 header to 10.0.0.11.
std::vector<uint8_t> TunnelledFrame() {
  std::vector<uint8_t> frame = FirstFrame(Endpoint::Parse("198.51.100.7:40000").value(), {kVip, 443}, Protocol::kTcp);
  const auto total = static_cast<uint16_t>(frame.size() - 14 + 20);
  const std::vector<uint8_t> outer = {0x45,
                                      0,
                                      static_cast<uint8_t>(total >> 8),
                                      static_cast<uint8_t>(total),
                                      0,
                                      0,
                                      0x40,
                                      0,
                                      64,
                                      4,
                                      0,
                                      0,
                                      10,
                                      0,
                                      0,
                                      1,
                                      10,
                                      0,
                                      0,
                                      11};
  frame.insert(frame.begin() + 14, outer.begin(), outer.end());
  return frame;
}

}  // namespace

TEST_CASE("What is decapsulated is counted for its VIP, and a VIP that stays in the list keeps its count") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  Shell("ip address add 10.0.0.11/24 dev v0");
  Decap decap(bpffs.path());
  const IpAddress first[] = {kVip, Address("2001:db8::10")};
  auto attached = decap.Attach("v0", first);
  INFO((attached ? "" : attached.error().message));
  REQUIRE(attached);
  CHECK(attached->native);
  CHECK(attached->vips == std::map<IpAddress, DecapCount>{{first[0], {}}, {first[1], {}}});
  const uint32_t program = XdpProgramId("v0");

  const auto frame = TunnelledFrame();
  SendFrame("v1", frame);
  REQUIRE(Comes([&] { return decap.Show("v0")->vips.at(kVip).packets == 1; }));
  CHECK(decap.Show("v0")->vips.at(kVip).bytes == frame.size() - 34);

  const IpAddress second[] = {Address("203.0.113.11"), kVip};
  REQUIRE(decap.Attach("v0", second));
  CHECK(XdpProgramId("v0") == program);
  auto status = decap.Show("v0");
  REQUIRE(status);
  CHECK(status->vips.size() == 2);
  CHECK(status->vips.at(kVip).packets == 1);
  CHECK(status->vips.contains(second[0]));
}

TEST_CASE("Detaching leaves neither program nor pins, and there is nothing to show or detach after") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  Decap decap(bpffs.path());
  REQUIRE(decap.Attach("v0", std::span(&kVip, 1)));
  REQUIRE(decap.Attach("v1", std::span(&kVip, 1)));
  REQUIRE(decap.Detach("v0"));
  CHECK(XdpProgramId("v0") == 0);
  CHECK(decap.Show("v1"));
  REQUIRE(decap.Detach("v1"));
  CHECK(access((bpffs.path() + "/shunt-decap").c_str(), F_OK) != 0);
  for (const auto& error : {decap.Detach("v0").error(), decap.Show("v0").error()}) {
    CHECK(error.kind == ErrorKind::kNotFound);
    CHECK_THAT(error.message, Contains("v0: it is not attached there"));
  }
}

TEST_CASE("An interface whose name has a dot, which bpffs refuses, can be decapsulated on") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  Shell("ip link set v0 down && ip link set v0 name v0.100 && ip link set v0.100 up");
  Decap decap(bpffs.path());
  REQUIRE(decap.Attach("v0.100", std::span(&kVip, 1)));
  CHECK(decap.Show("v0.100")->vips.size() == 1);
}

TEST_CASE("Interfaces of one name in two network namespaces do not share their counts") {
  const TemporaryBpffs bpffs;
  Decap decap(bpffs.path());
  const NetworkNamespace network;
  REQUIRE(decap.Attach("v0", std::span(&kVip, 1)));
  {
    const NetworkNamespace other;
    CHECK_FALSE(decap.Show("v0"));
    const IpAddress vips[] = {kVip, Address("203.0.113.11")};
    REQUIRE(decap.Attach("v0", vips));
  }
  CHECK(decap.Show("v0")->vips.size() == 1);
}

TEST_CASE("Decapsulation refuses somebody else's program, an interface that is not there and an empty list") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  Decap decap(bpffs.path());
  const uint32_t foreign = AttachForeignProgram("v0");
  CHECK_THAT(decap.Attach("v0", std::span(&kVip, 1)).error().message, Contains("stranger"));
  CHECK(XdpProgramId("v0") == foreign);
  CHECK(access((bpffs.path() + "/shunt-decap").c_str(), F_OK) != 0);
  CHECK(decap.Attach("eth7", std::span(&kVip, 1)).error().kind == ErrorKind::kNotFound);
  CHECK(decap.Attach("v1", {}).error().kind == ErrorKind::kInvalid);
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/pinned.h"

#include <catch2/catch.hpp>

#include "tests/dataplane/plans.h"
#include "userspace/dataplane/packet_model.h"
#include "userspace/dataplane/verdict.h"

namespace shunt {

KernelDataplaneOptions Options(const TemporaryBpffs& bpffs, std::vector<std::string> interfaces) {
  KernelDataplaneOptions options;
  options.interfaces = std::move(interfaces);
  options.bpffs = bpffs.path();
  options.capacities = kSmall;
  return options;
}

std::unique_ptr<KernelDataplane> MustOpen(const KernelDataplaneOptions& options) {
  auto dataplane = KernelDataplane::Open(options);
  INFO((dataplane ? "" : dataplane.error().message));
  REQUIRE(dataplane);
  return std::move(*dataplane);
}

VipKey ServedVip() { return VipKey::Parse("203.0.113.10:443/udp").value(); }

VipEntry Install(Dataplane& dataplane) {
  OuterHeader outer;
  outer.next_hop = {1, MacAddress{{2, 0, 0, 0, 0, 1}}, MacAddress{{2, 0, 0, 0, 0, 2}},
                    IpAddress::Parse("10.0.0.1").value(), 1500};
  const RealWrite reals[] = {{9, {IpAddress::Parse("10.0.0.11").value(), outer}},
                             {10, {IpAddress::Parse("2001:db8::12").value(), {}}}};
  const VipEntry entry{3, Tracking::kAll, 8, 4, 6, 5, {1, 2}};
  REQUIRE(dataplane.SetReals(reals));
  REQUIRE(test::SetRing(dataplane, 6, {{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}}));
  REQUIRE(dataplane.SetAddress(ServedVip().address, {.has_tcp = false, .has_udp = true}));
  REQUIRE(dataplane.SetVip(ServedVip(), entry));
  return entry;
}

std::vector<uint8_t> ClientFrame() {
  return FirstFrame(Endpoint::Parse("198.51.100.7:40000").value(), {ServedVip().address, ServedVip().port},
                    Protocol::kUdp);
}

uint64_t CountOf(Dataplane& dataplane, std::string_view verdict) {
  auto counts = dataplane.ReadVerdicts();
  REQUIRE(counts);
  for (const VerdictCount& count : *counts)
    if (VerdictOf(count.verdict).name == verdict) return count.packets;
  FAIL("no such verdict");
  return 0;
}

}  // namespace shunt

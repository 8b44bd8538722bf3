// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/pinned.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

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

std::vector<std::string> PinSets(const TemporaryBpffs& bpffs) {
  std::vector<std::string> sets;
  for (const auto& set : std::filesystem::directory_iterator(bpffs.path() + "/shunt"))
    sets.push_back(set.path().filename());
  std::ranges::sort(sets);
  return sets;
}

std::string PinSet(const TemporaryBpffs& bpffs) {
  const std::vector<std::string> sets = PinSets(bpffs);
  REQUIRE(sets.size() == 1);
  return bpffs.path() + "/shunt/" + sets.front();
}

VipKey ServedVip() { return VipKey::Parse("203.0.113.10:443/udp").value(); }

Plan ServedPlan() {
  Plan plan;
  PlannedVip& vip = plan.vips[ServedVip()];
  vip.entry = {.id = 3,
               .tracking = Tracking::kAll,
               .real_base = 8,
               .real_capacity = 4,
               .ring_slots = 5,
               .flow_hash_key = {1, 2}};
  vip.ring = std::make_shared<const Ring>(Ring(5, {.current_real = 1}));
  vip.reals = {{1, test::MakeReal({.address = "10.0.0.11"})},
               {2, test::MakeReal({.address = "2001:db8::12", .resolved = false})}};
  return plan;
}

void Install(Dataplane& dataplane, const Plan& plan) {
  const auto installed = test::Install(dataplane, plan);
  INFO((installed ? "" : installed.error().message));
  REQUIRE(installed);
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

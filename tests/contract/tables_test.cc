// SPDX-License-Identifier: Apache-2.0
// The contract on tables: what is set is read back and acts on packets, what is removed is gone, what does not fit is
// refused by name.
#include <array>
#include <limits>

#include "tests/contract/subject.h"

namespace shunt::test {
namespace {

constexpr std::string_view kService = "203.0.113.10:443/tcp";

Plan OneVip() { return MakePlan({{.vip = kService, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}}}); }

Plan Varied() {
  return MakePlan({
      {.vip = kService, .reals = {{"10.0.0.11"}, {.address = "2001:db8:7::12", .mtu_bytes = 9000, .ttl = 255}}},
      {.vip = "[2001:db8:1::10]:*/udp",
       .reals = {{.address = "10.0.0.13", .source = "10.9.0.0", .spread_bits = 16},
                 {.address = "2001:db8:7::14", .source = "2001:db8:9::", .spread_bits = 32},
                 {.address = "10.0.0.15", .resolved = false},
                 {.address = "2001:db8:7::16", .resolved = false}},
       .tracking = Tracking::kAll,
       .ring = {1, 2, 3, 4, 0, 2, 1}},
      {.vip = "203.0.113.10:443/udp", .no_slots = true},
      {.vip = "203.0.113.11:*/tcp", .reals = {{"10.0.0.11", kOtherInterface, 65535}}},
  });
}

TEMPLATE_TEST_CASE("a new data plane is empty and passes everything", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  CHECK(dataplane->capacities() == kSmall);
  MustHold(*dataplane, {});
  CHECK(Must(dataplane->ReadFlows(100)).empty());
  CHECK(VerdictOn(*dataplane, {}) == "PASS_NOT_VIP");
}

TEMPLATE_TEST_CASE("a plan that is written is read back as it was", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, Varied()));
  MustHold(*dataplane, Varied());
  Must(Install(*dataplane, Varied()));  // a second time changes nothing
  MustHold(*dataplane, Varied());
}

TEMPLATE_TEST_CASE("a slot's previous real is kept beside its current one", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  plan.vips.begin()->second.ring = std::make_shared<const Ring>(Ring{{1, 2}, {2, 0}});
  Must(Install(*dataplane, plan));
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("setting a VIP again replaces its entry", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  Must(Install(*dataplane, plan));
  VipEntry& entry = plan.vips.begin()->second.entry;
  entry.tracking = Tracking::kAll;
  entry.flow_hash_key = {1, 2};
  Must(dataplane->SetVip(Vip(kService), entry));
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("setting a real again replaces it, with or without a next hop", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = MakePlan({{.vip = kService, .reals = {{"10.0.0.11"}}}});
  Must(Install(*dataplane, plan));
  const uint32_t entry = plan.vips.begin()->second.entry.real_base + 1;
  for (const RealSpec& spec :
       {RealSpec{.address = "10.0.0.11", .resolved = false}, RealSpec{.address = "2001:db8:7::12"},
        RealSpec{.address = "2001:db8:7::12", .resolved = false}, RealSpec{.address = "10.0.0.13"}}) {
    const RealWrite write{entry, MakeReal(spec)};
    Must(dataplane->SetReals(std::span(&write, 1)));
    plan.vips.begin()->second.reals[1] = write.real;
    MustHold(*dataplane, plan);
    CHECK(VerdictOn(*dataplane, {}) == (spec.resolved ? "TX_ENCAPSULATED" : "DROP_NO_NEXT_HOP"));
  }
}

TEMPLATE_TEST_CASE("a ring is swapped for another of the same size at once", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  Must(Install(*dataplane, plan));
  const uint32_t ring_index = plan.vips.begin()->second.entry.ring_index;
  for (const std::vector<uint16_t>& owners : {std::vector<uint16_t>{1, 1}, {2, 2}, {0, 0}, {2, 1}}) {
    Must(SetRing(*dataplane, ring_index, RingOf(owners)));
    plan.vips.begin()->second.ring = std::make_shared<const Ring>(RingOf(owners));
    MustHold(*dataplane, plan);
    const auto result = Must(dataplane->RunFrame(BuildFrame({}), kIngress));
    if (owners[0] != owners[1]) continue;
    if (owners[0] == 0) {
      CHECK(VerdictOf(result.verdict).name == "DROP_NO_REAL");
    } else {
      CHECK(int{result.frame.at(33)} == 10 + owners[0]);
    }
  }
}

TEMPLATE_TEST_CASE("a ring of another size is written beside the old one and comes with its VIP", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  Must(Install(*dataplane, plan));
  PlannedVip& vip = plan.vips.begin()->second;
  const uint32_t old_index = vip.entry.ring_index;
  vip.ring = std::make_shared<const Ring>(RingOf(std::vector<uint16_t>(65537, 2)));
  vip.entry.ring_index = old_index + 1;
  vip.entry.ring_slots = 65537;
  Must(SetRing(*dataplane, vip.entry.ring_index, *vip.ring));
  Must(dataplane->SetVip(Vip(kService), vip.entry));
  Must(dataplane->RemoveRing(old_index));
  MustHold(*dataplane, plan);
  CHECK(VerdictOn(*dataplane, {}) == "TX_ENCAPSULATED");
}

TEMPLATE_TEST_CASE("a VIP whose ring is missing or of another size is told without slots", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  Must(Install(*dataplane, plan));
  PlannedVip& vip = plan.vips.begin()->second;
  const uint32_t ring_index = vip.entry.ring_index;
  Must(SetRing(*dataplane, ring_index, RingOf({1, 1, 1})));
  vip.entry.ring_slots = 0;
  vip.ring = std::make_shared<const Ring>();
  MustHold(*dataplane, plan);
  Must(dataplane->RemoveRing(ring_index));
  MustHold(*dataplane, plan);
  CHECK(VerdictOn(*dataplane, {}) == "DROP_NO_REAL");
}

TEMPLATE_TEST_CASE("a ring of no slots is no ring", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const Plan plan = OneVip();
  Must(Install(*dataplane, plan));
  Must(SetRing(*dataplane, plan.vips.begin()->second.entry.ring_index, {}));
  CHECK(VerdictOn(*dataplane, {}) == "DROP_NO_REAL");
}

TEMPLATE_TEST_CASE("a VIP that is removed is the host's again, and its other parts are still there", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = Varied();
  Must(Install(*dataplane, plan));
  CHECK(VerdictOn(*dataplane, {}) == "TX_ENCAPSULATED");
  Must(dataplane->RemoveVip(Vip(kService)));
  CHECK(VerdictOn(*dataplane, {}) == "PASS_NOT_VIP");
  const PlannedVip removed = plan.vips.extract(Vip(kService)).mapped();
  MustHold(*dataplane, plan);
  Must(dataplane->SetVip(Vip(kService), removed.entry));
  MustHold(*dataplane, Varied());
}

TEMPLATE_TEST_CASE("reals that are cleared are gone and those beside them stay", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = Varied();
  Must(Install(*dataplane, plan));
  PlannedVip& vip = plan.vips.at(Vip("[2001:db8:1::10]:*/udp"));
  const std::array<uint32_t, 2> entries = {vip.entry.real_base + 1, vip.entry.real_base + 3};
  Must(dataplane->ClearReals(entries));
  vip.reals.erase(1);
  vip.reals.erase(3);
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("an address entry is what tells that a ping is for a VIP's address", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const PacketSpec ping{.protocol = kIcmp};
  const PacketSpec tcp_fragment{.protocol = kTcp, .fragment_field = 0x0001};
  const PacketSpec udp_fragment{.protocol = kUdp, .fragment_field = 0x0001};
  CHECK(VerdictOn(*dataplane, ping) == "PASS_NOT_VIP");
  Must(dataplane->SetAddress(Address("203.0.113.10"), {.has_tcp = true}));
  CHECK(VerdictOn(*dataplane, ping) == "PASS_ICMP");
  CHECK(VerdictOn(*dataplane, tcp_fragment) == "DROP_FRAGMENT");
  CHECK(VerdictOn(*dataplane, udp_fragment) == "PASS_NOT_VIP");
  Must(dataplane->SetAddress(Address("203.0.113.10"), {.has_udp = true}));
  CHECK(VerdictOn(*dataplane, tcp_fragment) == "PASS_NOT_VIP");
  CHECK(VerdictOn(*dataplane, udp_fragment) == "DROP_FRAGMENT");
  MustHold(*dataplane, {});  // an address is no VIP
  Must(dataplane->RemoveAddress(Address("203.0.113.10")));
  CHECK(VerdictOn(*dataplane, ping) == "PASS_NOT_VIP");
}

TEMPLATE_TEST_CASE("removing what is absent is no error and changes nothing", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, OneVip()));
  const std::array<uint32_t, 2> entries = {40, 63};
  Must(dataplane->ClearReals(entries));
  Must(dataplane->RemoveRing(17));
  Must(dataplane->RemoveVip(Vip("203.0.113.10:444/tcp")));
  Must(dataplane->RemoveVip(Vip("203.0.113.10:*/tcp")));
  Must(dataplane->RemoveVip(Vip("203.0.113.10:443/udp")));
  Must(dataplane->RemoveAddress(Address("203.0.113.11")));
  MustHold(*dataplane, OneVip());
  CHECK(VerdictOn(*dataplane, {}) == "TX_ENCAPSULATED");
  Must(dataplane->RemoveVip(Vip(kService)));
  Must(dataplane->RemoveVip(Vip(kService)));
  MustHold(*dataplane, {});
}

TEMPLATE_TEST_CASE("writing nothing is no error", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(dataplane->SetReals({}));
  Must(dataplane->ClearReals({}));
  Must(dataplane->ResetTraffic({}, {}));
  CHECK(Must(dataplane->ReadVipTraffic({})).empty());
  CHECK(Must(dataplane->ReadRealTraffic({})).empty());
  MustHold(*dataplane, {});
}

TEMPLATE_TEST_CASE("the data plane holds as many VIPs as it says, on as many addresses", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const std::array<std::string_view, 8> texts = {"203.0.113.1:1/tcp",     "203.0.113.2:1/tcp",    "203.0.113.3:1/tcp",
                                                 "203.0.113.4:*/udp",     "203.0.113.5:1/tcp",    "203.0.113.6:1/udp",
                                                 "[2001:db8:1::7]:*/tcp", "[2001:db8:1::8]:1/udp"};
  std::vector<VipSpec> specs;
  for (const std::string_view text : texts) specs.push_back({.vip = text, .reals = {{"10.0.0.11"}}});
  const Plan plan = MakePlan(specs);
  Must(Install(*dataplane, plan));
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("a VIP whose id has no place is refused by name", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  VipEntry entry = OneVip().vips.begin()->second.entry;
  for (const uint32_t id : {0u, kSmall.max_vips + 1, std::numeric_limits<uint32_t>::max()}) {
    entry.id = id;
    MustRefuse(dataplane->SetVip(Vip(kService), entry), kService);
  }
  MustHold(*dataplane, {});
}

TEMPLATE_TEST_CASE("a real whose entry has no place is refused by number", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const RealEntry real = MakeReal({.address = "10.0.0.11"});
  const RealWrite last{kSmall.max_reals - 1, real};
  Must(dataplane->SetReals(std::span(&last, 1)));
  const std::array<RealWrite, 2> beyond = {{{3, real}, {kSmall.max_reals, real}}};
  MustRefuse(dataplane->SetReals(beyond), "64");
  const std::array<uint32_t, 1> entry = {kSmall.max_reals};
  MustRefuse(dataplane->ClearReals(entry), "64");
}

TEMPLATE_TEST_CASE("a ring whose index has no place is refused by number", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const uint32_t last = 2 * kSmall.max_vips + 1;
  Must(SetRing(*dataplane, last, RingOf({1})));
  MustRefuse(SetRing(*dataplane, last + 1, RingOf({1})), "18");
  MustRefuse(dataplane->RemoveRing(last + 1), "18");
}

}  // namespace
}  // namespace shunt::test

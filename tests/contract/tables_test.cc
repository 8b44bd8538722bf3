// SPDX-License-Identifier: Apache-2.0
// The contract on tables: what is set is read back and acts on packets, what is removed is gone, what does not fit is
// refused by name and changes nothing.
#include <array>
#include <atomic>
#include <limits>
#include <thread>

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

TEMPLATE_TEST_CASE("a slot's previous real and its hold are kept beside its current one", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  GiveRing(plan, Vip(kService), {{1, 2}, {2, 0}, {2, 1, true}, {1, 1}, {0, 2}, {0, 0}});
  Must(Install(*dataplane, plan));
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("a VIP's settings and key are replaced with the next plan", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  Must(Install(*dataplane, plan));
  VipEntry& entry = plan.vips.begin()->second.entry;
  for (const Tracking tracking : {Tracking::kAll, Tracking::kMoving, Tracking::kNone}) {
    entry.tracking = tracking;
    entry.quic = !entry.quic;
    entry.flow_hash_key[0] += 1;
    Must(dataplane->SetVips(plan));
    MustHold(*dataplane, plan);
  }
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

TEMPLATE_TEST_CASE("a ring is replaced by another of any size, and packets go by it", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  Must(Install(*dataplane, plan));
  for (const auto& [slots, real] : {std::pair{2u, 1}, {2u, 2}, {1u, 1}, {65537u, 2}, {17u, 1}, {16u, 2}}) {
    GiveRing(plan, Vip(kService), Ring(slots, {.current_real = static_cast<uint16_t>(real)}));
    Must(dataplane->SetVips(plan));
    MustHold(*dataplane, plan);
    CHECK(RealOf(*dataplane, {}) == 10 + real);
  }
  GiveRing(plan, Vip(kService), Ring(2));
  Must(dataplane->SetVips(plan));
  CHECK(VerdictOn(*dataplane, {}) == "DROP_NO_REAL");
  GiveRing(plan, Vip(kService), {});
  Must(dataplane->SetVips(plan));
  MustHold(*dataplane, plan);
  CHECK(VerdictOn(*dataplane, {}) == "DROP_NO_REAL");
}

// So many VIPs take a while to write.
Plan ManyVips(uint16_t vips, uint16_t real_index) {
  Plan plan;
  for (uint16_t port = 1; port <= vips; ++port) {
    PlannedVip& vip = plan.vips[{Address("203.0.113.10"), port, Protocol::kTcp}];
    vip.entry = {.id = port, .real_capacity = 4};
    vip.reals = {{1, MakeReal({"10.0.0.11"})}, {2, MakeReal({"10.0.0.12"})}};
    GiveRing(plan, {Address("203.0.113.10"), port, Protocol::kTcp}, {{.current_real = real_index}});
  }
  return plan;
}

TEMPLATE_TEST_CASE("the VIPs of a plan change over at one instant", "", InMemory, InKernel) {
  constexpr uint16_t kVips = 16384;
  const auto dataplane = TestType::Open({.max_vips = kVips, .max_reals = 64, .max_flows = 64});
  const Plan before = ManyVips(kVips, 1);
  const Plan after = ManyVips(kVips, 2);
  for (int round = 0; round < 20; ++round) {
    Must(Install(*dataplane, before));
    REQUIRE(RealOf(*dataplane, {.destination_port = 1}) == 11);
    std::atomic<bool> done = false;
    Status set;
    std::jthread writer([&] {
      set = dataplane->SetVips(after);
      done = true;
    });
    for (bool last = false; !last;) {
      last = done;
      // Whoever saw the new plan sees it from then on, whichever VIP it asks about.
      int seen = 11;
      for (const uint16_t port : {uint16_t{1}, kVips, uint16_t{1000}, uint16_t{1}}) {
        const int real = RealOf(*dataplane, {.destination_port = port});
        REQUIRE(real >= seen);
        seen = real;
      }
      if (last) REQUIRE(seen == 12);
    }
    writer.join();
    Must(set);
  }
}

TEMPLATE_TEST_CASE("a plan that does not fit is refused by the VIP's name and changes nothing", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, OneVip()));
  const std::vector<RealSpec> reals = {{"10.0.0.12"}};
  Plan too_many = MakePlan({{.vip = kService, .reals = reals}, {.vip = "203.0.113.11:443/tcp", .reals = reals}});
  GiveRing(too_many, Vip(kService), Ring(1000, {.current_real = 2}));
  VipEntry& last = too_many.vips.at(Vip("203.0.113.11:443/tcp")).entry;
  for (const uint32_t id : {0u, kSmall.max_vips + 1, std::numeric_limits<uint32_t>::max()}) {
    last.id = id;
    MustRefuse(dataplane->SetVips(too_many), "203.0.113.11:443/tcp");
  }
  last.id = 1;  // the other one's
  MustRefuse(dataplane->SetVips(too_many), "id 1");
  last.id = 2;
  last.ring_slots += 1;
  MustRefuse(dataplane->SetVips(too_many), "203.0.113.11:443/tcp");
  MustHold(*dataplane, OneVip());
  CHECK(RealOf(*dataplane, {}) <= 12);
  CHECK(VerdictOn(*dataplane, {.destination = "203.0.113.11"}) == "PASS_NOT_VIP");
}

TEMPLATE_TEST_CASE("slots are set where they stand and the others stay", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = OneVip();
  Ring ring(1000, {.current_real = 1});
  GiveRing(plan, Vip(kService), ring);
  Must(Install(*dataplane, plan));
  const std::array<uint32_t, 4> slots = {0, 15, 16, 999};
  for (const uint32_t slot : slots) ring[slot] = {2, 1, true};
  GiveRing(plan, Vip(kService), ring);
  Must(dataplane->SetSlots(1, plan.vips.at(Vip(kService)).ring, slots));
  MustHold(*dataplane, plan);
  Must(dataplane->SetVips(plan));  // the same again: what was set in place is not undone
  MustHold(*dataplane, plan);
  Must(dataplane->SetSlots(1, plan.vips.at(Vip(kService)).ring, {}));
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("packets go by a slot that was set", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = MakePlan({{.vip = kService, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .ring = {1}}});
  Must(Install(*dataplane, plan));
  const uint32_t only = 0;
  for (const uint16_t real : {uint16_t{2}, uint16_t{1}, uint16_t{2}}) {
    Must(dataplane->SetSlots(1, std::make_shared<const Ring>(RingOf({real})), {&only, 1}));
    CHECK(RealOf(*dataplane, {}) == 10 + real);
  }
}

TEMPLATE_TEST_CASE("slots of a VIP that is not there, or of another ring, are refused and nothing changes", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, OneVip()));
  const auto two = std::make_shared<const Ring>(RingOf({2, 1}));
  const std::array<uint32_t, 2> beyond = {0, 2};
  MustRefuse(dataplane->SetSlots(7, two, std::span(beyond).first(1)), "VIP id 7");
  MustRefuse(dataplane->SetSlots(1, two, beyond), "slot 2");
  MustRefuse(dataplane->SetSlots(1, std::make_shared<const Ring>(RingOf({2, 1, 1})), std::span(beyond).first(1)), "3");
  MustHold(*dataplane, OneVip());
}

TEMPLATE_TEST_CASE("waiting for packets under way changes nothing", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(dataplane->Synchronize());
  Must(Install(*dataplane, Varied()));
  Must(dataplane->Synchronize());
  Must(dataplane->Synchronize());
  MustHold(*dataplane, Varied());
}

TEMPLATE_TEST_CASE("a VIP that the next plan does not have is the host's again, and the others stay", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = Varied();
  Must(Install(*dataplane, plan));
  CHECK(VerdictOn(*dataplane, {}) == "TX_ENCAPSULATED");
  plan.vips.erase(Vip(kService));
  Must(dataplane->SetVips(plan));
  CHECK(VerdictOn(*dataplane, {}) == "PASS_NOT_VIP");
  MustHold(*dataplane, plan);
  Must(dataplane->SetVips(Varied()));
  CHECK(VerdictOn(*dataplane, {}) == "TX_ENCAPSULATED");
  MustHold(*dataplane, Varied());
  Must(dataplane->SetVips({}));
  MustHold(*dataplane, {});
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

TEMPLATE_TEST_CASE("that a ping is for a VIP's address, and which protocols it has, follows from the VIPs", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const PacketSpec ping{.protocol = kIcmp};
  const PacketSpec tcp_fragment{.protocol = kTcp, .fragment_field = 0x0001};
  const PacketSpec udp_fragment{.protocol = kUdp, .fragment_field = 0x0001};
  const auto verdicts = [&] {
    return std::array{VerdictOn(*dataplane, ping), VerdictOn(*dataplane, tcp_fragment),
                      VerdictOn(*dataplane, udp_fragment)};
  };
  using Verdicts = std::array<std::string_view, 3>;
  CHECK(verdicts() == Verdicts{"PASS_NOT_VIP", "PASS_NOT_VIP", "PASS_NOT_VIP"});
  Must(dataplane->SetVips(MakePlan({{.vip = "203.0.113.10:80/tcp"}})));
  CHECK(verdicts() == Verdicts{"PASS_ICMP", "DROP_FRAGMENT", "PASS_NOT_VIP"});
  Must(dataplane->SetVips(MakePlan({{.vip = "203.0.113.10:80/tcp"}, {.vip = "203.0.113.10:*/udp"}})));
  CHECK(verdicts() == Verdicts{"PASS_ICMP", "DROP_FRAGMENT", "DROP_FRAGMENT"});
  Must(dataplane->SetVips(MakePlan({{.vip = "203.0.113.10:*/udp"}, {.vip = "203.0.113.11:80/tcp"}})));
  CHECK(verdicts() == Verdicts{"PASS_ICMP", "PASS_NOT_VIP", "DROP_FRAGMENT"});
  Must(dataplane->SetVips({}));
  CHECK(verdicts() == Verdicts{"PASS_NOT_VIP", "PASS_NOT_VIP", "PASS_NOT_VIP"});
}

TEMPLATE_TEST_CASE("clearing reals that are absent is no error and changes nothing", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane, OneVip()));
  const std::array<uint32_t, 2> entries = {40, 63};
  Must(dataplane->ClearReals(entries));
  MustHold(*dataplane, OneVip());
  CHECK(VerdictOn(*dataplane, {}) == "TX_ENCAPSULATED");
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

}  // namespace
}  // namespace shunt::test

// SPDX-License-Identifier: Apache-2.0
// The contract on reals that do not serve: for packets they are not there, whatever names them, but they are read back.
#include <set>

#include "tests/contract/subject.h"

namespace shunt::test {
namespace {

constexpr std::string_view kService = "203.0.113.10:443/tcp";

// Two reals and one slot.
Plan WithSlot(const RingSlot& slot, Tracking tracking = Tracking::kMoving) {
  return MakePlan({{.vip = kService, .reals = {{"10.0.0.11"}, {"10.0.0.12"}}, .tracking = tracking, .slots = {slot}}});
}

void SetServing(Dataplane& dataplane, Plan& plan, uint16_t index, bool serves) {
  PlannedVip& vip = plan.vips.at(Vip(kService));
  RealEntry& real = vip.reals.at(index);
  real.serves = serves;
  const RealWrite write{vip.entry.real_base + index, real};
  Must(dataplane.SetReals(std::span(&write, 1)));
}

std::set<uint16_t> RememberedReals(Dataplane& dataplane) {
  std::set<uint16_t> reals;
  for (const RememberedFlow& flow : Must(dataplane.ReadFlows(100))) reals.insert(flow.real_index);
  return reals;
}

TEMPLATE_TEST_CASE("reals that do not serve are read back with next hop and without", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  const Plan plan = MakePlan({{.vip = kService,
                               .reals = {{.address = "10.0.0.11", .serves = false},
                                         {.address = "2001:db8:7::12", .mtu_bytes = 9000, .serves = false},
                                         {.address = "10.0.0.13", .resolved = false, .serves = false},
                                         {.address = "2001:db8:7::14", .resolved = false, .serves = false},
                                         {.address = "10.0.0.15"}}}});
  Must(Install(*dataplane, plan));
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("a stable slot whose real does not serve has no real, until it serves again", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = WithSlot({.current_real = 1});
  Must(Install(*dataplane, plan));
  CHECK(RealOf(*dataplane, {}) == 11);
  SetServing(*dataplane, plan, 1, false);
  CHECK(VerdictOn(*dataplane, {}) == "DROP_NO_REAL");
  CHECK(VerdictOn(*dataplane, {.tcp_flags = kSyn}) == "DROP_NO_REAL");
  MustHold(*dataplane, plan);
  SetServing(*dataplane, plan, 1, true);
  CHECK(RealOf(*dataplane, {}) == 11);
  MustHold(*dataplane, plan);
}

TEMPLATE_TEST_CASE("a real that is down and not resolved has no packet dropped for want of a next hop", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Must(Install(*dataplane,
               MakePlan({{.vip = kService, .reals = {{.address = "10.0.0.11", .resolved = false, .serves = false}}}})));
  CHECK(VerdictOn(*dataplane, {}) == "DROP_NO_REAL");
}

TEMPLATE_TEST_CASE("on a moving slot only flows of the real that does not serve have no real", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = WithSlot({.current_real = 2, .previous_real = 1});
  Must(Install(*dataplane, plan));
  SetServing(*dataplane, plan, 1, false);
  CHECK(RealOf(*dataplane, {.source_port = 1, .tcp_flags = kSyn}) == 12);
  CHECK(VerdictOn(*dataplane, {.source_port = 2}) == "DROP_NO_REAL");
  SetServing(*dataplane, plan, 1, true);
  SetServing(*dataplane, plan, 2, false);
  CHECK(RealOf(*dataplane, {.source_port = 3}) == 11);
  CHECK(VerdictOn(*dataplane, {.source_port = 4, .tcp_flags = kSyn}) == "DROP_NO_REAL");
}

TEMPLATE_TEST_CASE("a remembered flow whose real does not serve is a miss and is remembered with the slot's real", "",
                   InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = WithSlot({.current_real = 1}, Tracking::kAll);
  Must(Install(*dataplane, plan));
  CHECK(RealOf(*dataplane, {}) == 11);
  SetServing(*dataplane, plan, 1, false);
  GiveRing(plan, Vip(kService), RingOf({2}));
  Must(dataplane->SetVips(plan));
  CHECK(RealOf(*dataplane, {}) == 12);
  CHECK(RememberedReals(*dataplane) == std::set<uint16_t>{2});
}

TEMPLATE_TEST_CASE("on a settled slot the flow of a real that does not serve goes to the slot's real", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = WithSlot({.current_real = 2, .previous_real = 1});
  Must(Install(*dataplane, plan));
  CHECK(RealOf(*dataplane, {.tcp_flags = kAck}) == 11);  // remembered
  GiveRing(plan, Vip(kService), {{.current_real = 2, .previous_real = 2}});
  Must(dataplane->SetVips(plan));
  CHECK(RealOf(*dataplane, {.tcp_flags = kAck}) == 11);
  SetServing(*dataplane, plan, 1, false);
  CHECK(RealOf(*dataplane, {.tcp_flags = kAck}) == 12);
  SetServing(*dataplane, plan, 2, false);
  CHECK(VerdictOn(*dataplane, {.tcp_flags = kAck}) == "DROP_NO_REAL");
}

TEMPLATE_TEST_CASE("flows of reals that do not serve are forgotten, and those of the others kept", "", InMemory,
                   InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = WithSlot({.current_real = 2, .previous_real = 1});
  Must(Install(*dataplane, plan));
  CHECK(RealOf(*dataplane, {.source_port = 1, .tcp_flags = kSyn}) == 12);
  CHECK(RealOf(*dataplane, {.source_port = 2, .tcp_flags = kAck}) == 11);
  SetServing(*dataplane, plan, 1, false);
  CHECK(RememberedReals(*dataplane) == std::set<uint16_t>{1, 2});  // until they are told to go
  Must(dataplane->ForgetFlowsExcept(plan));
  CHECK(RememberedReals(*dataplane) == std::set<uint16_t>{2});
  SetServing(*dataplane, plan, 1, true);
  Must(dataplane->ForgetFlowsExcept(plan));
  CHECK(RememberedReals(*dataplane) == std::set<uint16_t>{2});
}

TEMPLATE_TEST_CASE("a real that does not serve can be cleared", "", InMemory, InKernel) {
  const auto dataplane = TestType::Open(kSmall);
  Plan plan = WithSlot({.current_real = 1});
  Must(Install(*dataplane, plan));
  SetServing(*dataplane, plan, 2, false);
  PlannedVip& vip = plan.vips.at(Vip(kService));
  const uint32_t entry = vip.entry.real_base + 2;
  Must(dataplane->ClearReals(std::span(&entry, 1)));
  vip.reals.erase(2);
  MustHold(*dataplane, plan);
}

}  // namespace
}  // namespace shunt::test

// SPDX-License-Identifier: Apache-2.0
// The data plane's own verification: packets through the program for each VIP, and whether any arrive there.
#include <catch2/catch.hpp>
#include <set>

#include "tests/unit/bgp_testing.h"
#include "userspace/bgp/arrival_check.h"
#include "userspace/bgp/self_test.h"
#include "userspace/control/planner.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

const VipKey kWeb = Key("203.0.113.10:443/tcp");
constexpr uint32_t kInterface = 1;
const std::string kNothing;  // is wrong

// A data plane in memory that holds the plan, and can go wrong.
class Plane final : public ForwardingDataplane {
 public:
  explicit Plane(const Snapshot& snapshot) : ForwardingDataplane(Capacities{512, 4096, 4096}) {
    for (const auto& [key, vip] : snapshot.plan.vips) {
      for (const auto& [index, real] : vip.reals) {
        const RealWrite write{vip.entry.real_base + index, real};
        REQUIRE(SetReals(std::span(&write, 1)));
      }
    }
    REQUIRE(SetVips(snapshot.plan));
  }
  Result<std::optional<std::vector<uint8_t>>> Forward(std::span<const uint8_t> frame, uint32_t interface) override {
    ++frames;
    return spoil(ForwardingDataplane::Forward(frame, interface));
  }

  using Bytes = std::vector<uint8_t>;
  using Answer = Result<std::optional<Bytes>>;
  std::function<Answer(Answer)> spoil = [](Answer answer) { return answer; };
  size_t frames = 0;
};

// What it sends, changed.
std::function<Plane::Answer(Plane::Answer)> Changing(const std::function<void(Plane::Bytes&)>& change) {
  return [change](const Plane::Answer& answer) -> Plane::Answer {
    REQUIRE((answer && *answer));
    Plane::Bytes bytes = **answer;
    change(bytes);
    return bytes;
  };
}

// Many VIPs: 203.0.113.0:443/tcp and up.
DesiredState ManyVips(int count) {
  DesiredState state = WithReals(Key("203.0.113.0:443/tcp"), 1);
  for (int i = 1; i < count; ++i)
    state.vips[Key("203.0.113." + std::to_string(i) + ":443/tcp")] = state.vips.begin()->second;
  return state;
}

std::string ProblemOf(Plane& plane, const Snapshot& snapshot, const VipKey& vip) {
  SelfTest test(plane);
  test.Test(snapshot, kInterface, 0);
  return test.problems().at(vip);
}

}  // namespace

TEST_CASE("VIPs of every kind pass the self-test") {
  DesiredState state = WithReals(kWeb, 3);
  const Vip vip = state.vips[kWeb];
  for (const char* key : {"203.0.113.10:443/udp", "203.0.113.11:*/tcp", "203.0.113.11:*/udp", "[2001:db8:1::1]:53/udp",
                          "[2001:db8:1::1]:*/tcp"}) {
    state.vips[Key(key)] = vip;
    state.vips[Key(key)].reals[Address("2001:db8:7::9")] = {};
  }
  state.vips[Key("203.0.113.10:443/udp")].quic = true;
  const Snapshot snapshot = InForce(state);
  Plane plane(snapshot);
  SelfTest test(plane);
  CHECK_FALSE(test.has_tested_all(snapshot));
  test.Test(snapshot, kInterface, 0);
  CHECK(test.has_tested_all(snapshot));
  CHECK(test.problems().size() == 6);
  for (const auto& [key, problem] : test.problems()) {
    INFO(key.ToString());
    CHECK(problem == kNothing);
  }
  CHECK(test.packets() == plane.frames);
}

TEST_CASE("A VIP with every port is asked about a port that no other VIP of its address has") {
  DesiredState state = WithReals(Key("203.0.113.10:80/tcp"), 1);
  for (const char* key : {"203.0.113.10:81/tcp", "203.0.113.10:*/tcp"}) {
    state.vips[Key(key)].reals[Address("10.0.0.9")] = {};
  }
  const Snapshot snapshot = InForce(state);
  Plane plane(snapshot);
  CHECK(ProblemOf(plane, snapshot, Key("203.0.113.10:*/tcp")) == kNothing);
}

TEST_CASE("What the program does wrong with a VIP's packet is told") {
  const Snapshot snapshot = InForce(WithReals(kWeb, 3));
  Plane plane(snapshot);
  using Answer = Plane::Answer;
  SECTION("it fails") {
    plane.spoil = [](const Answer&) -> Answer { return Fail(ErrorKind::kSystem, "running the program: broken"); };
    CHECK(ProblemOf(plane, snapshot, kWeb) == "running the program: broken");
  }
  SECTION("it sends none of several flows") {
    plane.spoil = [](const Answer&) -> Answer { return std::nullopt; };
    CHECK(ProblemOf(plane, snapshot, kWeb) == "the program did not send the packet on");
    CHECK(plane.frames > 1);
  }
  SECTION("it changes the packet") {
    plane.spoil = Changing([](Plane::Bytes& sent) { sent.back() ^= 1; });
    CHECK(ProblemOf(plane, snapshot, kWeb) == "the packet left changed, or without an outer header");
  }
  SECTION("it sends it as it came") {
    plane.spoil = Changing([](Plane::Bytes& sent) { sent.erase(sent.begin() + 14, sent.begin() + 34); });
    CHECK(ProblemOf(plane, snapshot, kWeb) == "the packet left changed, or without an outer header");
  }
  SECTION("it sends nothing to speak of") {
    plane.spoil = [](const Answer&) -> Answer { return std::vector<uint8_t>(20); };
    CHECK(ProblemOf(plane, snapshot, kWeb) == "the packet left changed, or without an outer header");
  }
  SECTION("it sends it to a stranger") {
    plane.spoil = Changing([](Plane::Bytes& sent) { sent.at(14 + 19) = 99; });
    CHECK(ProblemOf(plane, snapshot, kWeb) == "the packet left for 10.0.0.99, which is no real of it");
  }
}

TEST_CASE("One real without a next hop is no failure while other flows get through") {
  Snapshot snapshot = InForce(WithReals(kWeb, 4));
  auto& reals = snapshot.plan.vips.at(kWeb).reals;
  for (auto& [index, real] : reals) {
    if (index != reals.rbegin()->first) real.outer.reset();  // three of four
  }
  Plane plane(snapshot);
  CHECK(ProblemOf(plane, snapshot, kWeb) == kNothing);
}

TEST_CASE("New VIPs are tested at once, however many, and of the others no more than was asked for") {
  const Snapshot many = InForce(ManyVips(200));
  Plane plane(many);
  SelfTest test(plane);
  test.Test(InForce(ManyVips(5)), kInterface, 3);
  CHECK(test.packets() == 5);
  test.Test(many, kInterface, 3);
  CHECK(test.has_tested_all(many));
  CHECK(test.packets() == 5 + 195 + 3);
  test.Test(many, kInterface, 0);
  CHECK(test.packets() == 5 + 195 + 3);
}

TEST_CASE("Every VIP has its turn again, and what was broken and is not any more is told so") {
  const Snapshot snapshot = InForce(ManyVips(7));
  Plane plane(snapshot);
  SelfTest test(plane);
  plane.spoil = [](const Plane::Answer&) -> Plane::Answer { return std::nullopt; };
  test.Test(snapshot, kInterface, 0);
  plane.spoil = Changing([](Plane::Bytes&) {});
  for (int turn = 0; turn < 4; ++turn) test.Test(snapshot, kInterface, 2);
  for (const auto& [key, problem] : test.problems()) CHECK(problem == kNothing);
}

TEST_CASE("VIPs that are gone or lost their ring are forgotten, and asked anew when they are back") {
  const DesiredState two = ManyVips(2);
  const Snapshot before = InForce(two);
  Plane plane(before);
  SelfTest test(plane);
  test.Test(before, kInterface, 0);
  DesiredState empty = two;
  empty.vips.begin()->second.reals.clear();
  test.Test(InForce(empty), kInterface, 0);
  CHECK(test.problems().size() == 1);
  CHECK(test.has_tested_all(InForce(empty)));
  CHECK_FALSE(test.has_tested_all(before));
  test.Test(InForce({}), kInterface, 0);
  CHECK(test.problems().empty());
}

TEST_CASE("The self-test uses no flow for ever, so that no drain and no slot waits for it to end") {
  DesiredState state = WithReals(kWeb, 1);
  state.defaults.tracking = Tracking::kAll;
  const Snapshot snapshot = InForce(state);
  Plane plane(snapshot);
  SelfTest test(plane);
  std::set<uint16_t> ports;
  for (int second = 0; second < 120; ++second) test.Test(snapshot, kInterface, 1);
  const auto flows = plane.ReadFlows(1000);
  REQUIRE(flows);
  for (const RememberedFlow& flow : *flows) ports.insert(flow.source.port);
  CHECK(ports.size() > 4);
  CHECK(ports.size() < 60);  // nor are they so many that they fill the flow table
}

TEST_CASE("Packets that the links received and the program did not see are a problem, once there are enough to tell") {
  struct Row {
    const char* when;
    uint64_t received;  // more than before
    uint64_t verdicts;
    std::string problem;
  };
  ArrivalCheck check;
  uint64_t received = 1000, verdicts = 5000;
  CHECK(check.Note({{"eth0", received}}, verdicts) == kNothing);
  for (const Row& row :
       {Row{"nothing comes", 0, 0, ""}, Row{"all is seen", 500, 500, ""}, Row{"too few to tell", 9, 0, ""},
        Row{"none is seen", 10, 0, "10 packets came in by eth0, and the program saw none"},
        Row{"still none", 70, 0, "70 packets came in by eth0, and the program saw none"},
        Row{"seen again", 10, 1, ""}}) {
    INFO(row.when);
    received += row.received;
    verdicts += row.verdicts;
    CHECK(check.Note({{"eth0", received}}, verdicts) == row.problem);
  }
}

TEST_CASE("Links that come, and counts that begin anew, tell nothing of what arrives") {
  ArrivalCheck check;
  CHECK(check.Note({{"eth0", 100}}, 50) == kNothing);
  CHECK(check.Note({{"eth0", 100}, {"eth1", 900}}, 50) == kNothing);  // is new
  CHECK(check.Note({{"eth0", 20}, {"eth1", 900}}, 50) == kNothing);   // another of that name
  CHECK(check.Note({{"eth0", 90}, {"eth1", 900}}, 10) == kNothing);   // counts were reset
  CHECK(check.Note({{"eth1", 990}}, 10) == "90 packets came in by eth1, and the program saw none");
}

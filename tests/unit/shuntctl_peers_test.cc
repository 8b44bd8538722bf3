// SPDX-License-Identifier: Apache-2.0
// Balancers that are compared: which VIP differs, on whom, in what, and how that is shown.
#include "tools/shuntctl/peers.h"

#include <catch2/catch.hpp>

#include "userspace/model/config_proto.h"

namespace shunt::ctl {
namespace {

using Catch::Matchers::Contains;
using Lines = std::vector<std::string>;

constexpr const char* kWeb = "203.0.113.10:443/tcp";
constexpr const char* kDns = "203.0.113.10:53/udp";

v1::Digests Of(std::vector<std::tuple<std::string, uint64_t, uint64_t>> vips, uint32_t key = 0xabc) {
  v1::Digests digests;
  digests.set_hash_key_id(key);
  digests.set_host("serving");
  digests.set_generation(7);
  for (const auto& [vip, ring, settings] : vips) {
    v1::VipDigest& row = *digests.add_vips();
    row.set_vip(vip);
    row.set_ring(ring);
    row.set_settings(settings);
  }
  return digests;
}

PeerAnswer Peer(const std::string& name, v1::Digests digests) { return {name, "", std::move(digests)}; }

const v1::Digests kOwn = Of({{kDns, 1, 2}, {kWeb, 3, 4}});

TEST_CASE("A peer with the same rings and settings does not differ, whatever is its own", "[shuntctl]") {
  v1::Digests other = kOwn;
  other.set_generation(99);
  other.set_host("draining");
  other.mutable_vips(0)->set_moving_slots(5);
  const Comparison comparison = Compare(kOwn, {Peer("b", other)});
  CHECK_FALSE(comparison.differs());
  CHECK(comparison.vips.size() == 2);
  CHECK_FALSE(Compare(kOwn, {}).differs());
}

TEST_CASE("Each way in which a VIP differs is told by the peer and the VIP", "[shuntctl]") {
  struct Row {
    v1::Digests there;
    Difference dns, web;
  };
  using enum Difference;
  for (const Row& row :
       {Row{Of({{kDns, 1, 2}, {kWeb, 9, 4}}), kNone, kRing}, Row{Of({{kDns, 1, 9}, {kWeb, 3, 4}}), kSettings, kNone},
        Row{Of({{kDns, 9, 9}, {kWeb, 3, 4}}), kSettings, kNone}, Row{Of({{kDns, 1, 2}}), kNone, kMissing},
        Row{Of({}), kMissing, kMissing}}) {
    const Comparison comparison = Compare(kOwn, {Peer("a", kOwn), Peer("b", row.there)});
    CHECK(comparison.differs());
    REQUIRE(comparison.vips.size() == 2);
    CHECK(comparison.vips[0].vip == kWeb);  // in the order of their names
    CHECK(comparison.vips[0].peers == std::vector{kNone, row.web});
    CHECK(comparison.vips[1].peers == std::vector{kNone, row.dns});
  }
  const Comparison more = Compare(Of({}), {Peer("a", kOwn)});
  CHECK(more.vips[0].peers == std::vector{kOnlyThere});
}

TEST_CASE("Another hash key differs though every ring is the same, and so does a peer that does not answer",
          "[shuntctl]") {
  v1::Digests other = kOwn;
  other.set_hash_key_id(0xdef);
  const Comparison key = Compare(kOwn, {Peer("a", kOwn), Peer("b", other)});
  CHECK(key.differs());
  CHECK(key.other_key == std::vector{false, true});
  const Comparison silent = Compare(kOwn, {{"a", "connecting to a: refused", {}}});
  CHECK(silent.differs());
  CHECK(silent.unanswered);
  CHECK(silent.other_key == std::vector{false});
  CHECK(silent.vips[0].peers == std::vector{Difference::kNone});
}

v1::Config Config(const std::function<void(DesiredState&)>& change) {
  DesiredState state;
  const IpAddress real = *IpAddress::Parse("10.0.0.11");
  for (const char* vip : {kWeb, kDns, "203.0.113.10:4/udp"}) state.vips[*VipKey::Parse(vip)].reals[real] = {};
  change(state);
  return ToProto(state);
}

TEST_CASE("Settings that differ are the lines of that VIP, and of all", "[shuntctl]") {
  const v1::Config here = Config([](DesiredState&) {});
  const v1::Config there = Config([](DesiredState& state) {
    state.hash_key[0] = 5;
    state.host = HostState::kDrain;
    state.defaults.tcp_settle_seconds = 60;
    state.vips[*VipKey::Parse(kWeb)].outer_ttl = 3;
    state.vips[*VipKey::Parse(kWeb)].reals.begin()->second.weight = 7;
    state.vips[*VipKey::Parse(kDns)].outer_ttl = 4;
    state.vips[*VipKey::Parse("203.0.113.10:4/udp")].outer_ttl = 5;
  });
  CHECK(SettingsLines(kWeb, here, there) == Lines{"~ defaults: tcp_settle_seconds 600 -> 60",
                                                  "~ vip 203.0.113.10:443/tcp: outer_ttl default -> 3",
                                                  "~ real 203.0.113.10:443/tcp 10.0.0.11: weight 10 -> 7"});
  CHECK(SettingsLines(kDns, here, there).size() == 2);
  CHECK(SettingsLines(kWeb, here, here).empty());
}

TEST_CASE("A ring that differs is told by the reals whose part of it differs, and why as far as it shows",
          "[shuntctl]") {
  v1::State here;
  v1::VipState& vip = *here.add_vips();
  vip.set_vip(kWeb);
  for (const char* address : {"10.0.0.11", "10.0.0.12"}) {
    v1::RealStatus& real = *vip.add_reals();
    real.set_address(address);
    real.set_health("up");
    real.set_slots(6);
  }
  v1::State there = here;
  CHECK(RingLines(kWeb, here, there).empty());
  v1::RealStatus& down = *there.mutable_vips(0)->mutable_reals(0);
  down.set_health("down");
  down.set_slots(0);
  v1::RealStatus& climbing = *there.mutable_vips(0)->mutable_reals(1);
  climbing.set_slots(13);
  climbing.set_climb_percent(40);
  v1::RealStatus& more = *there.mutable_vips(0)->add_reals();
  more.set_address("10.0.0.13");
  more.set_health("unchecked");
  more.set_slots(2);
  CHECK(RingLines(kWeb, here, there) == Lines{"real 10.0.0.11: up, 6 slots here; down, 0 slots there",
                                              "real 10.0.0.12: up, 6 slots here; up, 13 slots, climbing at 40 % there",
                                              "real 10.0.0.13: not there here; unchecked, 2 slots there"});
  CHECK(RingLines(kDns, here, there).empty());
}

TEST_CASE("The comparison is a column a peer, and a warning for each that has another hash key", "[shuntctl]") {
  v1::Digests other = Of({{kDns, 1, 2}, {kWeb, 9, 4}}, 0xdef);
  const std::vector<PeerAnswer> peers = {Peer("lb2:9870", other), {"lb3:9870", "connecting to lb3:9870: refused", {}}};
  const v1::Digests own = Of({{kDns, 1, 2}, {kWeb, 3, 4}});
  CHECK(FormatComparison(own, peers, Compare(own, peers), false) ==
        "hash key id 00000abc, generation 7, serving\n"
        "VIP                   RING              SETTINGS          MOVING SLOTS  lb2:9870      lb3:9870\n"
        "203.0.113.10:443/tcp  0000000000000003  0000000000000004             0  ring differs  no answer\n"
        "203.0.113.10:53/udp   0000000000000001  0000000000000002             0  same          no answer\n"
        "lb2:9870: another hash key (id 00000def): it sends flows to other reals; give all balancers the same "
        "hash_key\n");
}

TEST_CASE("The JSON of a comparison has a word for each VIP and peer, and null where nobody answered", "[shuntctl]") {
  const std::vector<PeerAnswer> peers = {Peer("a", Of({{kWeb, 3, 9}, {"203.0.113.11:1/tcp", 1, 1}})),
                                         {"b", "refused", {}}};
  const v1::Digests own = Of({{kWeb, 3, 4}});
  CHECK(ToJson(own, peers, Compare(own, peers)) == Json::parse(R"({
    "hash_key_id": "00000abc", "generation": 7, "host": "serving",
    "vips": [{"vip": "203.0.113.10:443/tcp", "ring": "0000000000000003", "settings": "0000000000000004",
              "moving_slots": 0, "peers": {"a": "settings differ", "b": null}},
             {"vip": "203.0.113.11:1/tcp", "ring": null, "settings": null, "moving_slots": null,
              "peers": {"a": "only there", "b": null}}],
    "peers": [{"peer": "a", "problem": null, "host": "serving", "generation": 7, "same_hash_key": true},
              {"peer": "b", "problem": "refused", "host": null, "generation": null, "same_hash_key": null}]})"));
}

}  // namespace
}  // namespace shunt::ctl

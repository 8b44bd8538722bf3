// SPDX-License-Identifier: Apache-2.0
// What a desired state may not be: found by Validate(), or by FromProto() where the form is wrong.
#include <catch2/catch.hpp>

#include "userspace/model/config_proto.h"
#include "userspace/model/validate.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;

constexpr Capacities kPlenty{.max_vips = 4096, .max_reals = 262144, .max_flows = 262144};

VipKey Key(std::string_view text) { return *VipKey::Parse(text); }
IpAddress Address(std::string_view text) { return *IpAddress::Parse(text); }

const VipKey kWeb = Key("203.0.113.10:443/tcp");
const IpAddress kReal = Address("10.0.0.11");

DesiredState OneVip() {
  DesiredState state;
  state.vips[kWeb].reals[kReal] = {};
  return state;
}

DesiredState OneVip(uint32_t reals) {
  DesiredState state;
  for (uint32_t i = 1; i <= reals; ++i) {
    const auto byte = [i](int shift) { return static_cast<uint8_t>(i >> shift); };
    state.vips[kWeb].reals[IpAddress::FromIpv4({10, byte(16), byte(8), byte(0)})] = {};
  }
  return state;
}

// The problems as lines; "" = valid.
std::string Problems(const DesiredState& state, const Capacities& capacities = kPlenty) {
  std::string lines;
  for (const Problem& problem : Validate(state, capacities)) lines += problem.ToString() + "\n";
  return lines;
}

std::string FormProblems(const v1::Config& config) {
  DesiredState state;
  std::string lines;
  for (const Problem& problem : FromProto(config, state)) lines += problem.ToString() + "\n";
  return lines;
}

TEST_CASE("an empty state and an ordinary one are valid") {
  CHECK(Problems({}) == "");
  CHECK(Problems(OneVip()) == "");
  CHECK(Problems(OneVip(1000)) == "");
}

TEST_CASE("a VIP or a real that is no unicast address is refused") {
  const auto [address, why] = GENERATE(table<std::string, std::string>({{"0.0.0.0", "unspecified"},
                                                                        {"127.0.0.1", "loopback"},
                                                                        {"224.0.0.1", "multicast"},
                                                                        {"255.255.255.255", "broadcast"},
                                                                        {"169.254.1.1", "link-local"},
                                                                        {"::", "unspecified"},
                                                                        {"::1", "loopback"},
                                                                        {"ff02::1", "multicast"},
                                                                        {"fe80::1", "link-local"}}));
  DesiredState bad_vip;
  bad_vip.vips[VipKey{Address(address), 443, Protocol::kTcp}] = {};
  CHECK_THAT(Problems(bad_vip), Catch::Matchers::StartsWith("vips[\"") && Contains(address) && Contains(why));
  DesiredState bad_real = OneVip();
  bad_real.vips[kWeb].reals[Address(address)] = {};
  CHECK_THAT(
      Problems(bad_real),
      Catch::Matchers::StartsWith("vips[\"203.0.113.10:443/tcp\"].reals[\"" + address + "\"]: ") && Contains(why));
}

TEST_CASE("a real with the VIP's own address is refused, in another VIP it is not") {
  DesiredState state = OneVip();
  state.vips[Key("203.0.113.11:443/tcp")].reals[kWeb.address] = {};
  CHECK(Problems(state) == "");
  state.vips[kWeb].reals[kWeb.address] = {};
  CHECK_THAT(Problems(state), Contains("reals[\"203.0.113.10\"]: the VIP's own address"));
}

TEST_CASE("a weight reaches from 0 to 65535, and weights may all be zero") {
  DesiredState state = OneVip();
  state.vips[kWeb].reals[kReal].weight = kMaxWeight;
  CHECK(Problems(state) == "");
  state.vips[kWeb].reals[kReal].weight = 0;
  CHECK(Problems(state) == "");
  state.vips[kWeb].reals[kReal].weight = kMaxWeight + 1;
  CHECK(Problems(state) ==
        "vips[\"203.0.113.10:443/tcp\"].reals[\"10.0.0.11\"].weight: 65536 is out of range; expected 0 to 65535\n");
}

TEST_CASE("a ring size is a prime up to 655373, in the defaults and in a VIP") {
  DesiredState state = OneVip();
  for (const uint32_t good : {2u, 3u, 4099u, 65537u, 655373u}) {
    state.defaults.ring_size = good;
    state.vips[kWeb].ring_size = good;
    CHECK(Problems(state) == "");
  }
  for (const auto& [bad, why] : {std::pair{0u, "the next one is 2"},
                                 {1u, "the next one is 2"},
                                 {65536u, "65536 is not a prime; the next one is 65537"},
                                 {655372u, "the next one is 655373"},
                                 {655374u, "expected a prime up to 655373"},
                                 {655379u, "expected a prime up to 655373"},
                                 {4294967291u, "expected a prime up to 655373"}}) {
    INFO(bad);
    state = OneVip();
    state.vips[kWeb].ring_size = bad;
    CHECK_THAT(Problems(state), Contains("vips[\"203.0.113.10:443/tcp\"].ring_size: ") && Contains(why));
    state = OneVip();
    state.vips[kWeb].ring_size = 65537;
    state.defaults.ring_size = bad;
    CHECK_THAT(Problems(state), Catch::Matchers::StartsWith("defaults.ring_size: ") && Contains(why));
  }
}

TEST_CASE("a ring has at least one slot for every real with a weight") {
  DesiredState state = OneVip(11);
  state.vips[kWeb].ring_size = 11;
  CHECK(Problems(state) == "");
  state.vips[kWeb].ring_size = 7;
  CHECK_THAT(Problems(state), Contains("].ring_size: 7 slots are too few for 11 reals with a weight"));
  for (auto& [address, real] : state.vips[kWeb].reals) real.weight = address < Address("10.0.0.8") ? 1 : 0;
  CHECK(Problems(state) == "");
  state = OneVip(11);
  state.defaults.ring_size = 7;
  CHECK_THAT(Problems(state), Contains("vips[\"203.0.113.10:443/tcp\"].ring_size: 7 slots are too few"));
}

TEST_CASE("an outer TTL reaches from 1 to 255, in the defaults and in a VIP") {
  DesiredState state = OneVip();
  state.defaults.outer_ttl = 1;
  state.vips[kWeb].outer_ttl = 255;
  CHECK(Problems(state) == "");
  state.defaults.outer_ttl = 0;
  state.vips[kWeb].outer_ttl = 0;
  CHECK(Problems(state) ==
        "defaults.outer_ttl: 0 is out of range; expected 1 to 255\n"
        "vips[\"203.0.113.10:443/tcp\"].outer_ttl: 0 is out of range; expected 1 to 255\n");
}

TEST_CASE("idle and settle times reach from 1 second to 6 hours, in the defaults and in a VIP") {
  DesiredState state = OneVip();
  for (const uint32_t good : {1u, 21600u}) {
    state.defaults.udp_idle_seconds = state.defaults.tcp_settle_seconds = good;
    state.vips[kWeb].udp_idle_seconds = state.vips[kWeb].tcp_settle_seconds = good;
    CHECK(Problems(state) == "");
  }
  for (const uint32_t bad : {0u, 21601u}) {
    const std::string why = std::to_string(bad) + " is out of range; expected 1 to 21600\n";
    state = OneVip();
    state.defaults.udp_idle_seconds = state.defaults.tcp_settle_seconds = bad;
    CHECK(Problems(state) == "defaults.udp_idle_seconds: " + why + "defaults.tcp_settle_seconds: " + why);
    state = OneVip();
    state.vips[kWeb].udp_idle_seconds = state.vips[kWeb].tcp_settle_seconds = bad;
    const std::string vip = "vips[\"203.0.113.10:443/tcp\"].";
    CHECK(Problems(state) == vip + "udp_idle_seconds: " + why + vip + "tcp_settle_seconds: " + why);
  }
}

TEST_CASE("QUIC is for UDP VIPs, and a TCP VIP that has it is named") {
  DesiredState state = OneVip();
  state.vips[Key("203.0.113.10:443/udp")].quic = true;
  CHECK(Problems(state) == "");
  state.vips[kWeb].quic = true;
  CHECK(Problems(state) ==
        "vips[\"203.0.113.10:443/tcp\"].quic: QUIC runs over UDP, and this is a TCP VIP; leave quic out\n");
}

TEST_CASE("an outer source is a unicast prefix of its own family and of a sensible length") {
  const auto problems = [](const char* ipv4, const char* ipv6) {
    DesiredState state;
    if (ipv4 != nullptr) state.outer_source.ipv4 = *Prefix::Parse(ipv4);
    if (ipv6 != nullptr) state.outer_source.ipv6 = *Prefix::Parse(ipv6);
    return Problems(state);
  };
  CHECK(problems("10.0.0.0/8", "8000::/1") == "");
  CHECK(problems("10.9.0.1/32", "2001:db8::1/128") == "");
  CHECK_THAT(problems("2001:db8::/64", nullptr), Contains("outer_source.ipv4: 2001:db8::/64 is an IPv6 prefix"));
  CHECK_THAT(problems(nullptr, "10.9.0.0/16"), Contains("outer_source.ipv6: 10.9.0.0/16 is an IPv4 prefix"));
  CHECK_THAT(problems("10.0.0.0/7", nullptr), Contains("expected /8 to /32"));
  CHECK_THAT(problems(nullptr, "::/0"), Contains("expected /1 to /128"));
  CHECK_THAT(problems("224.0.0.0/8", nullptr), Contains("multicast"));
  CHECK_THAT(problems("0.0.0.0/8", nullptr), Contains("unspecified"));
  CHECK_THAT(problems("127.0.0.0/16", nullptr), Contains("loopback"));
  CHECK_THAT(problems(nullptr, "fe80::/64"), Contains("link-local"));
}

TEST_CASE("a VIP takes the next power of two above its reals, at least four entries") {
  for (const auto& [reals, entries] :
       {std::pair{0u, 4u}, {1u, 4u}, {3u, 4u}, {4u, 8u}, {7u, 8u}, {8u, 16u}, {16383u, 16384u}, {16384u, 32768u}}) {
    INFO(reals);
    CHECK(RealCapacity(reals) == entries);
  }
}

TEST_CASE("a VIP has at most 16383 reals") {
  CHECK(Problems(OneVip(kMaxRealsPerVip)) == "");
  CHECK_THAT(Problems(OneVip(kMaxRealsPerVip + 1)),
             Contains("vips[\"203.0.113.10:443/tcp\"].reals: 16384 reals; a VIP has at most 16383"));
}

TEST_CASE("VIPs and reals beyond the capacities are refused with the flag that raises them") {
  DesiredState state;
  state.vips[Key("203.0.113.10:1/tcp")] = OneVip(3).vips[kWeb];
  state.vips[Key("203.0.113.10:2/tcp")] = OneVip(4).vips[kWeb];
  CHECK(Problems(state, {.max_vips = 2, .max_reals = 12}) == "");
  CHECK_THAT(Problems(state, {.max_vips = 1, .max_reals = 12}),
             Contains("vips: 2 VIPs, but the data plane holds 1") && Contains("--max_vips"));
  CHECK_THAT(Problems(state, {.max_vips = 2, .max_reals = 11}),
             Contains("12 entries") && Contains("holds 11") && Contains("--max_reals"));
}

TEST_CASE("every problem of a state is told at once") {
  DesiredState state;
  state.defaults.ring_size = 4;
  state.vips[Key("127.0.0.1:*/tcp")].outer_ttl = 0;
  state.vips[kWeb].reals[Address("224.0.0.1")].weight = 70000;
  CHECK(Validate(state, {.max_vips = 1, .max_reals = 1}).size() == 7);
}

TEST_CASE("a port of its own beside * on the same address is no duplicate, the same port twice is") {
  v1::Config config;
  config.add_vips()->set_vip("203.0.113.10:*/tcp");
  config.add_vips()->set_vip("203.0.113.10:443/tcp");
  config.add_vips()->set_vip("203.0.113.10:443/udp");
  CHECK(FormProblems(config) == "");
  config.add_vips()->set_vip("203.0.113.10:443/tcp");
  CHECK(FormProblems(config) == "vips[3].vip: VIP 203.0.113.10:443/tcp stands here a second time\n");
}

TEST_CASE("an address written in two ways is the same VIP and the same real") {
  v1::Config config;
  config.add_vips()->set_vip("[2001:db8::1]:53/udp");
  config.add_vips()->set_vip("[2001:DB8:0:0::1]:53/udp");
  config.mutable_vips(0)->add_reals()->set_address("2001:db8:7::1");
  config.mutable_vips(0)->add_reals()->set_address("2001:db8:7:0::1");
  CHECK(FormProblems(config) ==
        "vips[0].reals[1].address: real 2001:db8:7::1 stands in this VIP a second time\n"
        "vips[1].vip: VIP [2001:db8::1]:53/udp stands here a second time\n");
}

TEST_CASE("a message that is wrong in form is refused place by place") {
  v1::Config config;
  config.set_hash_key("0x1234");
  config.mutable_defaults()->set_outer_ttl(256);
  config.mutable_defaults()->set_tracking(static_cast<v1::Tracking>(9));
  config.mutable_outer_source()->set_ipv4("10.9.0.1/16");
  config.mutable_outer_source()->set_ipv6("");
  v1::Vip& vip = *config.add_vips();
  vip.set_encap(static_cast<v1::Encap>(7));
  vip.set_tracking(static_cast<v1::Tracking>(-1));
  vip.set_outer_ttl(1000);
  vip.add_reals();
  vip.add_reals()->set_address("10.0.0.300");
  vip.mutable_reals(1)->set_state(static_cast<v1::RealState>(3));
  DesiredState state;
  std::vector<std::string> paths;
  for (const Problem& problem : FromProto(config, state)) paths.push_back(problem.path);
  CHECK(paths == std::vector<std::string>{"hash_key", "defaults.tracking", "defaults.outer_ttl", "outer_source.ipv4",
                                          "outer_source.ipv6", "vips[0].encap", "vips[0].tracking", "vips[0].outer_ttl",
                                          "vips[0].reals[0].address", "vips[0].reals[1].state",
                                          "vips[0].reals[1].address", "vips[0].vip"});
  CHECK(state == DesiredState{});
}

TEST_CASE("a hash key is 0x and 32 digits, not all zero, and never repeated in a message") {
  const auto problems = [](const std::string& key) {
    v1::Config config;
    config.set_hash_key(key);
    return FormProblems(config);
  };
  CHECK(problems("0x000102030405060708090a0b0c0d0e0F") == "");
  CHECK_THAT(problems("0x" + std::string(32, '0')), Contains("hash_key: all zero"));
  for (const std::string bad : {"000102030405060708090a0b0c0d0e0f", "0x000102030405060708090a0b0c0d0e0",
                                "0x000102030405060708090a0b0c0d0e0f0", "0x000102030405060708090a0b0c0d0e0g",
                                "0x-00102030405060708090a0b0c0d0e0f", "0X000102030405060708090a0b0c0d0e0f"}) {
    INFO(bad);
    CHECK(problems(bad) == "hash_key: expected 0x and 32 hexadecimal digits\n");
  }
}

TEST_CASE("a state survives the way through the message, and what is unset stays unset") {
  DesiredState state = OneVip();
  state.hash_key = {0x01, 0xff};
  state.defaults = {
      .tracking = Tracking::kNone, .ring_size = 4099, .outer_ttl = 1, .udp_idle_seconds = 2, .tcp_settle_seconds = 3};
  state.outer_source.ipv6 = *Prefix::Parse("2001:db8:9::/64");
  state.vips[Key("[2001:db8::1]:*/udp")] = {.tracking = Tracking::kAll,
                                            .ring_size = 7,
                                            .outer_ttl = 255,
                                            .udp_idle_seconds = 5,
                                            .tcp_settle_seconds = 6,
                                            .quic = true,
                                            .reals = {{kReal, {0, RealState::kDrain}}}};
  const v1::Config config = ToProto(state);
  DesiredState again;
  CHECK(FromProto(config, again).empty());
  CHECK(again == state);
  CHECK_FALSE(config.vips(0).has_tracking());
  CHECK_FALSE(config.vips(0).has_udp_idle_seconds());
  CHECK_FALSE(config.vips(0).has_tcp_settle_seconds());
  CHECK_FALSE(config.vips(0).has_quic());
  for (const Tracking tracking : {Tracking::kNone, Tracking::kAll, Tracking::kMoving}) {
    state.defaults.tracking = tracking;
    CHECK(FromProto(ToProto(state), again).empty());
    CHECK(again.defaults.tracking == tracking);
  }
  CHECK_FALSE(config.outer_source().has_ipv4());
  CHECK(ToProto(DesiredState{}).hash_key().empty());
}

TEST_CASE("a VIP's own settings stand before the defaults") {
  DesiredState state;
  state.defaults = {
      .tracking = Tracking::kNone, .ring_size = 4099, .outer_ttl = 7, .udp_idle_seconds = 8, .tcp_settle_seconds = 9};
  CHECK(EffectiveSettings(state, {}) == state.defaults);
  const Vip own = {.tracking = Tracking::kAll,
                   .ring_size = 5,
                   .outer_ttl = 9,
                   .udp_idle_seconds = 10,
                   .tcp_settle_seconds = 11,
                   .reals = {}};
  CHECK(EffectiveSettings(state, own) == VipSettings{.tracking = Tracking::kAll,
                                                     .ring_size = 5,
                                                     .outer_ttl = 9,
                                                     .udp_idle_seconds = 10,
                                                     .tcp_settle_seconds = 11});
}

}  // namespace
}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The text of the store: what is read, what is written, and the line of every problem.
#include <catch2/catch.hpp>
#include <string>

#include "userspace/model/store_file.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;

constexpr Capacities kPlenty{.max_vips = 4096, .max_reals = 262144, .max_flows = 262144};

VipKey Key(std::string_view text) { return *VipKey::Parse(text); }
IpAddress Address(std::string_view text) { return *IpAddress::Parse(text); }

DesiredState Parsed(const std::string& text) {
  const auto state = ParseYaml(text, "lb.yaml", kPlenty);
  INFO((state ? std::string() : state.error().message));
  REQUIRE(state);
  return *state;
}

std::string Refused(const std::string& text, const Capacities& capacities = kPlenty) {
  const auto state = ParseYaml(text, "lb.yaml", capacities);
  REQUIRE_FALSE(state);
  CHECK(state.error().kind == ErrorKind::kInvalid);
  return state.error().message;
}

DesiredState FullState() {
  DesiredState state;
  state.hash_key = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
  state.defaults = {.tracking = Tracking::kNone,
                    .ring_size = 4099,
                    .outer_ttl = 32,
                    .udp_idle_seconds = 30,
                    .tcp_settle_seconds = 900};
  state.outer_source = {.ipv4 = *Prefix::Parse("10.9.0.0/16"), .ipv6 = *Prefix::Parse("2001:db8:9::/64")};
  state.vips[Key("203.0.113.10:443/tcp")] = {.tracking = Tracking::kAll,
                                             .ring_size = 65537,
                                             .outer_ttl = 64,
                                             .udp_idle_seconds = 5,
                                             .tcp_settle_seconds = 21600,
                                             .reals = {}};
  state.vips[Key("203.0.113.10:443/udp")].tracking = Tracking::kMoving;
  state.vips[Key("203.0.113.10:443/udp")].quic = true;
  state.vips[Key("203.0.113.10:443/tcp")].reals = {{Address("10.0.0.11"), {.weight = 0}},
                                                   {Address("2001:db8:7::12"), {10, RealState::kDrain}}};
  state.vips[Key("203.0.113.9:*/udp")] = {};
  state.vips[Key("[2001:db8:1::10]:53/udp")].reals[Address("10.0.0.11")] = {};
  return state;
}

TEST_CASE("the example of the documentation is read as it stands") {
  const DesiredState state = Parsed(R"(
hash_key: "0x00112233445566778899aabbccddeeff"
defaults: { tracking: all, ring_size: 65537 }
vips:
  - vip: "203.0.113.10:443/tcp"
    encap: ipip
    reals:
      - { address: "10.0.0.11", weight: 20 }
      - { address: "2001:db8:7::12", weight: 10, state: drain }
  - vip: "[2001:db8:1::10]:53/udp"
    tracking: none
    reals: [ { address: 10.0.0.11 } ]
)");
  CHECK(state.hash_key == FullState().hash_key);
  REQUIRE(state.vips.size() == 2);
  const Vip& web = state.vips.at(Key("203.0.113.10:443/tcp"));
  CHECK_FALSE(web.tracking);
  CHECK(web.reals.at(Address("10.0.0.11")) == Real{20, RealState::kActive});
  CHECK(web.reals.at(Address("2001:db8:7::12")) == Real{10, RealState::kDrain});
  const Vip& dns = state.vips.at(Key("[2001:db8:1::10]:53/udp"));
  CHECK(dns.tracking == Tracking::kNone);
  CHECK(dns.reals.at(Address("10.0.0.11")) == Real{});
}

TEST_CASE("the store is written in a fixed, readable form") {
  const std::string text = ToYaml(FullState());
  CHECK(text.starts_with("# "));
  CHECK(text.substr(text.find('\n') + 1) ==
        R"(hash_key: "0x00112233445566778899aabbccddeeff"
defaults:
  tracking: none
  ring_size: 4099
  outer_ttl: 32
  udp_idle_seconds: 30
  tcp_settle_seconds: 900
  panic_percent: 50
  panic_action: fail_open
  slow_start_seconds: 30
  slow_start_exponent: 1
  backup_below_percent: 50
  ring_changes_per_second: 20
outer_source: { ipv4: "10.9.0.0/16", ipv6: "2001:db8:9::/64" }
vips:
  - vip: "203.0.113.9:*/udp"
  - vip: "203.0.113.10:443/tcp"
    tracking: all
    ring_size: 65537
    outer_ttl: 64
    udp_idle_seconds: 5
    tcp_settle_seconds: 21600
    reals:
      - { address: "10.0.0.11", weight: 0 }
      - { address: "2001:db8:7::12", weight: 10, state: drain }
  - vip: "203.0.113.10:443/udp"
    tracking: moving
    quic: true
  - vip: "[2001:db8:1::10]:53/udp"
    reals:
      - { address: "10.0.0.11", weight: 10 }
)");
}

TEST_CASE("what is written is read back equal") {
  for (const DesiredState& state : {DesiredState{}, FullState()}) {
    CHECK(Parsed(ToYaml(state)) == state);
    CHECK(ToYaml(Parsed(ToYaml(state))) == ToYaml(state));
  }
}

TEST_CASE("a file that says nothing is refused, one without VIPs is not") {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "~\n"}) {
    INFO(text);
    CHECK(Refused(text) == "lb.yaml: empty; for a balancer without VIPs write vips: []");
  }
  CHECK(Parsed("vips: []\n") == DesiredState{});
  CHECK(Parsed("{}\n") == DesiredState{});
}

TEST_CASE("unknown and repeated keys are refused with their line and the keys there are") {
  CHECK(Refused("vips:\n  - vip: 203.0.113.10:443/tcp\n    reals:\n      - address: 10.0.0.11\n        wieght: 3\n") ==
        "lb.yaml:5: vips[0].reals[0]: unknown key \"wieght\"; expected address, weight, state, "
        "drain_seconds, backup, canary_percent, group");
  CHECK(Refused("vips: []\n\nvipz: []\n") ==
        "lb.yaml:3: unknown key \"vipz\"; expected hash_key, defaults, outer_source, host, vips");
  CHECK(Refused("vips: []\ndefaults: { ring_size: 7,\n  ring_size: 7 }\n") ==
        "lb.yaml:3: defaults.ring_size: the key stands here a second time; leave one of them out");
  CHECK_THAT(Refused("vips: []\nVips: []\n"), Contains("lb.yaml:2: unknown key \"Vips\""));
}

TEST_CASE("a value of the wrong type is refused with its line, what was expected and what was found") {
  const auto [line, problem] = GENERATE(table<std::string, std::string>({
      {"vips: 3", "vips: expected a list ([] for an empty one), found \"3\""},
      {"vips:", "vips: expected a list ([] for an empty one), found nothing"},
      {"vips: { vip: x }", "vips: expected a list ([] for an empty one), found keys with values"},
      {"vips: [ 203.0.113.10 ]",
       "vips[0]: expected keys with values (vip, encap, tracking, ring_size, outer_ttl, udp_idle_seconds, "
       "tcp_settle_seconds, quic, health, panic_percent, panic_action, slow_start_seconds, slow_start_exponent, "
       "backup_below_percent, ring_changes_per_second, active_group, announce, reals), found \"203.0.113.10\""},
      {"defaults: all",
       "defaults: expected keys with values (tracking, ring_size, outer_ttl, udp_idle_seconds, tcp_settle_seconds, "
       "health, panic_percent, panic_action, slow_start_seconds, slow_start_exponent, backup_below_percent, "
       "ring_changes_per_second, announce), "
       "found \"all\""},
      {"vips: [ { vip: \"203.0.113.10:53/udp\", quic: yes } ]",
       "vips[0].quic: expected true or false, without quotes, found \"yes\""},
      {"vips: [ { vip: \"203.0.113.10:53/udp\", quic: \"true\" } ]",
       "vips[0].quic: expected true or false, without quotes, found \"true\""},
      {"vips: [ { vip: \"203.0.113.10:53/udp\", quic: [] } ]",
       "vips[0].quic: expected true or false, without quotes, found a list"},
      {"defaults: { ring_size: many }",
       "defaults.ring_size: expected a whole number, in decimal digits and without quotes, found \"many\""},
      {"defaults: { ring_size: \"7\" }",
       "defaults.ring_size: expected a whole number, in decimal digits and without "
       "quotes, found \"7\""},
      {"defaults: { ring_size: -7 }",
       "defaults.ring_size: expected a whole number, in decimal digits and without "
       "quotes, found \"-7\""},
      {"defaults: { ring_size: 4294967296 }",
       "defaults.ring_size: expected a whole number, in decimal digits and "
       "without quotes, found \"4294967296\""},
      {"defaults: { ring_size: 0x11 }",
       "defaults.ring_size: expected a whole number, in decimal digits and without "
       "quotes, found \"0x11\""},
      {"defaults: { ring_size: 017 }",
       "defaults.ring_size: expected a whole number, in decimal digits and without "
       "quotes, found \"017\""},
      {"defaults: { ring_size: 7.0 }",
       "defaults.ring_size: expected a whole number, in decimal digits and without "
       "quotes, found \"7.0\""},
      {"defaults: { tracking: some }", "defaults.tracking: expected moving or all or none, found \"some\""},
      {"defaults: { tracking: ALL }", "defaults.tracking: expected moving or all or none, found \"ALL\""},
      {"defaults: { tracking: TRACKING_ALL }",
       "defaults.tracking: expected moving or all or none, found \"TRACKING_ALL\""},
      {"defaults: { tracking: unspecified }",
       "defaults.tracking: expected moving or all or none, found \"unspecified\""},
      {"defaults: { tracking: [all] }", "defaults.tracking: expected moving or all or none, found a list"},
      {"defaults: { slow_start_exponent: 1e3 }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\"1e3\""},
      {"defaults: { slow_start_exponent: \"1\" }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\"1\""},
      {"defaults: { slow_start_exponent: .5 }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\".5\""},
      {"defaults: { slow_start_exponent: 1. }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\"1.\""},
      {"defaults: { slow_start_exponent: 01.5 }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\"01.5\""},
      {"defaults: { slow_start_exponent: -1.5 }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\"-1.5\""},
      {"defaults: { slow_start_exponent: 1.5.0 }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\"1.5.0\""},
      {"defaults: { slow_start_exponent: .inf }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "\".inf\""},
      {"defaults: { slow_start_exponent: [ 1 ] }",
       "defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "
       "a list"},
      {"defaults: { health: { command: /bin/true } }",
       "defaults.health.command: expected a list ([] for an empty one), found \"/bin/true\""},
      {"defaults: { health: { kind: exec, command: [ /bin/true, {} ] } }",
       "defaults.health.command[1]: expected text, found keys with values"},
      {"defaults: { health: { kind: HTTP, path: /health } }",
       "defaults.health.kind: expected none or tcp or http or https or http2 or grpc or udp or dns or tls or icmp or "
       "exec, found \"HTTP\""},
      {"outer_source: { ipv4: [] }", "outer_source.ipv4: expected text, found a list"},
      {"outer_source: { ipv4: \"\" }", "outer_source.ipv4: expected text, found \"\""},
      {"outer_source: { ipv4: ~ }", "outer_source.ipv4: expected text, found nothing"},
      {"hash_key: \"\"", "hash_key: expected text, found \"\""},
  }));
  CHECK(Refused("# a comment\n" + line + "\n") == "lb.yaml:2: " + problem);
}

TEST_CASE("a list of texts is read as a block and between brackets, and an empty text is one") {
  const DesiredState flow =
      Parsed("vips: [ { vip: \"203.0.113.10:443/tcp\", health: { kind: exec, command: [ /bin/test, -f, \"\" ] } } ]\n");
  CHECK(flow.vips.at(Key("203.0.113.10:443/tcp")).health->command == std::vector<std::string>{"/bin/test", "-f", ""});
  CHECK(Parsed("vips:\n  - vip: 203.0.113.10:443/tcp\n    health:\n      kind: exec\n      command:\n"
               "        - /bin/test\n        - -f\n        - ''\n") == flow);
}

TEST_CASE("a top that is no map is refused") {
  CHECK_THAT(Refused("- vips\n"), Contains("lb.yaml:1: expected keys with values (hash_key, defaults, outer_source, "
                                           "host, vips), found a list"));
  CHECK_THAT(Refused("hello\n"), Contains("found \"hello\""));
}

TEST_CASE("a store that says nothing of tracking follows moved slots") {
  const DesiredState state = Parsed("vips: [ { vip: \"203.0.113.10:443/udp\", quic: false } ]\n");
  CHECK(state.defaults.tracking == Tracking::kMoving);
  CHECK(state.defaults.udp_idle_seconds == 60);
  CHECK(state.defaults.tcp_settle_seconds == 600);
  CHECK_FALSE(state.vips.at(Key("203.0.113.10:443/udp")).quic);
  CHECK(Parsed("defaults: { tracking: moving }\n") == DesiredState{});
}

TEST_CASE("QUIC on a TCP VIP is refused at its line, by the VIP's name") {
  CHECK_THAT(Refused("vips:\n  - vip: \"203.0.113.10:443/tcp\"\n    quic: true\n"),
             Contains("lb.yaml:3: vips[\"203.0.113.10:443/tcp\"].quic: QUIC runs over UDP"));
}

TEST_CASE("the encapsulation is ipip and nothing else") {
  CHECK(Parsed("vips: [{vip: \"203.0.113.10:443/tcp\", encap: ipip}]") ==
        Parsed("vips: [{vip: \"203.0.113.10:443/tcp\"}]"));
  CHECK_THAT(Refused("vips: [{vip: \"203.0.113.10:443/tcp\", encap: gue}]"),
             Contains("vips[0].encap: expected ipip, found \"gue\""));
}

TEST_CASE("problems of form and of meaning are told together, each with its line, in the order of the file") {
  CHECK(Refused(R"(hash_key: "0x00000000000000000000000000000000"
defaults: { ring_size: 8 }
outer_source:
  ipv4: "2001:db8::/64"
vips:
  - vip: "203.0.113.10:443/tcp"
    color: red
    reals:
      - { address: "203.0.113.10" }
      - { address: "10.0.0.11",
          weight: 70000 }
      - { address: "10.0.0.11" }
      - { address: "10.0.0.011" }
      - weight: 3
  - vip: "[2001:DB8:0::1]:53/udp"
    outer_ttl: 0
  - vip: "203.0.113.10/tcp"
  - vip: [ wrong ]
  - vip: "127.0.0.1:*/udp"
    outer_ttl: 300
)") == R"(lb.yaml:1: hash_key: all zero is no secret; leave the key out and the daemon makes one
lb.yaml:2: defaults.ring_size: 8 is not a prime; the next one is 11
lb.yaml:4: outer_source.ipv4: 2001:db8::/64 is an IPv6 prefix; expected 10.9.0.0/16 or the like
lb.yaml:7: vips[0]: unknown key "color"; expected vip, encap, tracking, ring_size, outer_ttl, udp_idle_seconds, tcp_settle_seconds, quic, health, panic_percent, panic_action, slow_start_seconds, slow_start_exponent, backup_below_percent, ring_changes_per_second, active_group, announce, reals
lb.yaml:9: vips["203.0.113.10:443/tcp"].reals["203.0.113.10"]: the VIP's own address; a real is reached by another address of its host
lb.yaml:11: vips["203.0.113.10:443/tcp"].reals["10.0.0.11"].weight: 70000 is out of range; expected 0 to 65535
lb.yaml:12: vips[0].reals[2].address: real 10.0.0.11 stands in this VIP a second time
lb.yaml:13: vips[0].reals[3].address: address "10.0.0.011": "011" has a leading zero, which some programs read as octal; write it without
lb.yaml:14: vips[0].reals[4].address: missing; every real has an address
lb.yaml:16: vips["[2001:db8::1]:53/udp"].outer_ttl: 0 is out of range; expected 1 to 255
lb.yaml:17: vips[2].vip: VIP "203.0.113.10/tcp": the port is missing; expected ADDRESS:PORT/PROTOCOL, e.g. 203.0.113.10:443/tcp or [2001:db8::1]:443/udp, port * for every port
lb.yaml:18: vips[3].vip: expected text, found a list
lb.yaml:19: vips["127.0.0.1:*/udp"]: 127.0.0.1 is a loopback address; a VIP is an address that clients reach by routing
lb.yaml:20: vips[4].outer_ttl: 300 is out of range; expected 1 to 255)");
}

TEST_CASE("a problem that has no line of its own is told at the VIP, or at the list") {
  const std::string text =
      "vips:\n  - vip: 203.0.113.10:1/tcp\n    reals: [{address: 10.0.0.1}, {address: 10.0.0.2}, "
      "{address: 10.0.0.3}]\n  - vip: 203.0.113.10:2/tcp\ndefaults: {ring_size: 2}\n";
  CHECK_THAT(Refused(text), Contains("lb.yaml:2: vips[\"203.0.113.10:1/tcp\"].ring_size: 2 slots are too few"));
  CHECK_THAT(Refused(text, {.max_vips = 1, .max_reals = 8}), Contains("lb.yaml:1: vips: 2 VIPs"));
}

TEST_CASE("a syntax error is told with its line") {
  for (const auto& [text, line] : {std::pair{"vips: [\n", "lb.yaml:2: "},
                                   {"vips: []\nhash_key: \"0x\n", "lb.yaml:"},
                                   {"vips: []\n\n  - a: {\n", "lb.yaml:"},
                                   {"vips: []\n\tdefaults: {}\n", "lb.yaml:"},
                                   {"a: b: c\n", "lb.yaml:1: "},
                                   {"[[[\n", "lb.yaml:"},
                                   {"%YAML 9.9.9\n---\n{}\n", "lb.yaml:1: "}}) {
    INFO(text);
    CHECK_THAT(Refused(text), Catch::Matchers::StartsWith(line));
  }
}

TEST_CASE("more than one document is refused") {
  CHECK_THAT(Refused("vips: []\n---\nvips: []\n"), Contains("lb.yaml:") && Contains("second document"));
  CHECK(Parsed("---\nvips: []\n...\n") == DesiredState{});
}

TEST_CASE("anchors, aliases, tags and keys that are no words are refused") {
  CHECK_THAT(Refused("defaults: &d { ring_size: 7 }\n"), Contains("lb.yaml:1: anchors (&name)"));
  CHECK_THAT(Refused("vips:\n  - &v\n"), Contains("lb.yaml:2: anchors (&name)"));
  CHECK_THAT(Refused("hash_key: &k x\n"), Contains("anchors (&name)"));
  CHECK_THAT(Refused("a: *b\n"), Contains("lb.yaml:1: "));
  CHECK_THAT(Refused("defaults: { ring_size: !!str 7 }\n"), Contains("tags (!name)"));
  CHECK_THAT(Refused("vips: !mine []\n"), Contains("tags (!name)"));
  CHECK_THAT(Refused("? [a]\n: b\n"), Contains("expected a key of one word"));
  CHECK_THAT(Refused("? {a: b}\n: b\n"), Contains("expected a key of one word"));
  CHECK_THAT(Refused("~: b\n"), Contains("expected a key of one word"));
}

TEST_CASE("text nested without end is refused, however it is nested") {
  CHECK_THAT(Refused("vips: " + std::string(100000, '[')), Contains("a bracket is not closed"));
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK_THAT(Refused(nested(100000)), Contains("nested deeper than"));
  CHECK_THAT(Refused(nested(33)), Contains("nested deeper than"));
  CHECK_THAT(Refused(nested(32)), Contains("found a list"));
  std::string maps = "1";
  for (int i = 0; i < 1000; ++i) maps = "{a: " + maps + "}";
  CHECK_THAT(Refused(maps), Contains("nested deeper than"));
  std::string lists;
  for (int i = 0; i < 1000; ++i) lists += "- ";
  CHECK_THAT(Refused(lists + "a\n"), Contains("nested deeper than"));
}

TEST_CASE("bytes that are no text are refused, though the YAML reader would take them") {
  CHECK_THAT(Refused(std::string("vips: []\n\0", 10)), Contains("lb.yaml:2: byte 0x00"));
  CHECK_THAT(Refused("vips: []\n\x04\nvips: []\n"), Contains("lb.yaml:2: byte 0x04"));
  CHECK_THAT(Refused("\xff\xfev\x7f"), Contains("lb.yaml:1: byte 0xff"));
  CHECK(Parsed("# gr\xc3\xbc\xc3\x9f\x65\r\nvips: []\r\n") == DesiredState{});
}

TEST_CASE("a text beyond the size limit is refused before it is read") {
  CHECK_THAT(Refused(std::string(kMaxStoreBytes + 1, '[')), Contains("lb.yaml: too large"));
}

}  // namespace
}  // namespace shunt

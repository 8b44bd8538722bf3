// SPDX-License-Identifier: Apache-2.0
// What an operator may say of announcing a VIP: what follows from it, what cannot be, how it is written down and how
// two of them are told apart.
#include "userspace/model/announce.h"

#include <catch2/catch.hpp>
#include <functional>

#include "userspace/model/announce_proto.h"
#include "userspace/model/diff.h"
#include "userspace/model/store_file.h"
#include "userspace/model/validate.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;
using Lines = std::vector<std::string>;

constexpr Capacities kPlenty{.max_vips = 4096, .max_reals = 262144, .max_flows = 262144};
const VipKey kWeb = *VipKey::Parse("203.0.113.10:443/tcp");
const VipKey kSix = *VipKey::Parse("[2001:db8:1::10]:443/tcp");

Prefix PrefixOf(std::string_view text) { return *Prefix::Parse(text); }

// Every setting, each to something that it is not by default.
AnnounceSettings Full() {
  return {.state = AnnounceState::kDown,
          .min_reals = 2,
          .min_percent = 30,
          .return_reals = 3,
          .return_percent = 45,
          .on_unhealthy = StepDown::kLower,
          .on_drain = StepDown::kLower,
          .required = true,
          .preference = 50,
          .prefix = PrefixOf("203.0.113.0/24"),
          .hold_seconds = 7,
          .max_hold_seconds = 70,
          .communities = Lines{"64512:100", "64512:1:2"}};
}

AnnouncePolicy PolicyOf(const AnnounceSettings& defaults, const AnnounceSettings& vip) {
  return shunt::PolicyOf(defaults, vip, kWeb.address);
}

Lines Problems(const DesiredState& state) {
  Lines lines;
  for (const Problem& problem : Validate(state, kPlenty)) lines.push_back(problem.ToString());
  return lines;
}

Lines ProblemsOf(const AnnounceSettings& settings) {
  DesiredState state;
  state.vips[kWeb].announce = settings;
  return Problems(state);
}

TEST_CASE("Where nothing is said a VIP is announced by its address alone, with one healthy real") {
  const AnnouncePolicy policy = PolicyOf({}, {});
  AnnouncePolicy expected;
  expected.prefix = PrefixOf("203.0.113.10/32");
  CHECK(policy == expected);
  CHECK(policy.min_reals == 1);
  CHECK(policy.preference == 100);
  CHECK(shunt::PolicyOf({}, {}, kSix.address).prefix == PrefixOf("2001:db8:1::10/128"));
}

TEST_CASE("A VIP's own settings go before those of the defaults, one by one") {
  const AnnounceSettings full = Full();
  const AnnouncePolicy all = PolicyOf({}, full);
  CHECK(all == PolicyOf(full, {}));
  CHECK(all == AnnouncePolicy{.state = AnnounceState::kDown,
                              .min_reals = 2,
                              .min_percent = 30,
                              .return_reals = 3,
                              .return_percent = 45,
                              .on_unhealthy = StepDown::kLower,
                              .on_drain = StepDown::kLower,
                              .required = true,
                              .preference = 50,
                              .prefix = PrefixOf("203.0.113.0/24"),
                              .hold_seconds = 7,
                              .max_hold_seconds = 70,
                              .communities = {"64512:100", "64512:1:2"}});
  AnnouncePolicy mixed = all;
  mixed.state = AnnounceState::kUp;
  mixed.required = false;
  mixed.communities = {"64512:9"};
  CHECK(PolicyOf(full, {.state = AnnounceState::kUp, .required = false, .communities = Lines{"64512:9"}}) == mixed);
}

TEST_CASE("What brings a VIP back follows what it needs, and is never less") {
  using S = AnnounceSettings;
  struct Row {
    std::function<void(S& defaults, S& vip)> say;
    uint32_t return_reals;
    uint32_t return_percent;
  };
  const Row table[] = {
      {[](S&, S&) {}, 1, 0},
      {[](S&, S& vip) { vip.min_reals = 3; }, 3, 0},
      {[](S&, S& vip) { vip.min_reals = 0; }, 0, 0},
      {[](S&, S& vip) { vip.min_percent = 50; }, 1, 60},
      {[](S&, S& vip) { vip.min_percent = 95; }, 1, 100},
      {[](S&, S& vip) { vip.min_percent = vip.return_percent = 50; }, 1, 50},
      {[](S& defaults, S& vip) { defaults.min_percent = 50, vip.return_percent = 80; }, 1, 80},
      {[](S& defaults, S& vip) { defaults.return_reals = 2, vip.min_reals = 4; }, 4, 0},
      {[](S& defaults, S& vip) { defaults.return_percent = 60, vip.min_percent = 70; }, 1, 70},
  };
  for (const Row& row : table) {
    AnnounceSettings defaults, vip;
    row.say(defaults, vip);
    const AnnouncePolicy policy = PolicyOf(defaults, vip);
    CHECK(policy.return_reals == row.return_reals);
    CHECK(policy.return_percent == row.return_percent);
  }
  CHECK(PolicyOf({.max_hold_seconds = 10}, {.hold_seconds = 60}).max_hold_seconds == 60);
}

TEST_CASE("Settings that make sense are taken, of a VIP and of the defaults") {
  CHECK(ProblemsOf(Full()).empty());
  CHECK(ProblemsOf({.min_reals = 0, .min_percent = 100, .return_percent = 100, .preference = 1, .hold_seconds = 0})
            .empty());
  CHECK(ProblemsOf({.communities = Lines{"0:0", "65535:65535", "4294967295:0:4294967295"}}).empty());
  DesiredState state;
  state.defaults.announce = Full();
  state.defaults.announce.prefix.reset();
  CHECK(Problems(state).empty());
}

TEST_CASE("Every setting that cannot be is refused with its place and what would do") {
  using S = AnnounceSettings;
  struct Row {
    void (*say)(S& settings);
    std::string problem;
  };
  const Row table[] = {
      {[](S& s) { s.min_reals = 16384; }, "min_reals: 16384 is out of range; expected 0 to 16383"},
      {[](S& s) { s.return_reals = 16384; }, "return_reals: 16384 is out of range; expected 0 to 16383"},
      {[](S& s) { s.min_percent = 101; }, "min_percent: 101 is out of range; expected 0 to 100"},
      {[](S& s) { s.return_percent = 101; }, "return_percent: 101 is out of range; expected 0 to 100"},
      {[](S& s) { s.min_reals = 3, s.return_reals = 2; },
       "return_reals: 2 is less than min_reals (3); expected at least that"},
      {[](S& s) { s.min_percent = 30, s.return_percent = 20; },
       "return_percent: 20 is less than min_percent (30); expected at least that"},
      {[](S& s) { s.preference = 0; }, "preference: 0 is out of range; expected 1 to 999"},
      {[](S& s) { s.preference = 1000; }, "preference: 1000 is out of range; expected 1 to 999"},
      {[](S& s) { s.hold_seconds = 86401; }, "hold_seconds: 86401 is out of range; expected 0 to 86400"},
      {[](S& s) { s.max_hold_seconds = 86401; }, "max_hold_seconds: 86401 is out of range; expected 0 to 86400"},
      {[](S& s) { s.hold_seconds = 10, s.max_hold_seconds = 9; },
       "max_hold_seconds: 9 is less than hold_seconds (10); expected at least that"},
      {[](S& s) { s.prefix = PrefixOf("0.0.0.0/0"); }, "prefix: 0.0.0.0/0 is a default route, and no prefix of VIPs"},
      {[](S& s) { s.prefix = PrefixOf("203.0.113.11/32"); },
       "prefix: 203.0.113.11/32 does not hold the VIP's address 203.0.113.10"},
      {[](S& s) { s.prefix = PrefixOf("2001:db8::/32"); },
       "prefix: 2001:db8::/32 does not hold the VIP's address 203.0.113.10"},
      {[](S& s) { s.communities = Lines(17, "64512:1"); }, "communities: 17 communities; expected at most 16"},
  };
  for (const auto& [say, problem] : table) {
    INFO(problem);
    AnnounceSettings settings;
    say(settings);
    const Lines found = ProblemsOf(settings);
    CHECK(found == Lines{"vips[\"203.0.113.10:443/tcp\"].announce." + problem});
  }
  for (const char* community : {"", "64512", "64512:", ":1", "64512:100 ", "65536:1", "1:65536", "1:2:3:4",
                                "1:2:", "1:2:4294967296", "-1:2", "a:b", "no-export"}) {
    INFO(community);
    const Lines found = ProblemsOf({.communities = Lines{"64512:1", community}});
    REQUIRE(found.size() == 1);
    CHECK_THAT(found.front(), Contains(".announce.communities: \"" + std::string(community) +
                                       "\" is no community; expected 64512:100, or 64512:1:2 for a large one"));
  }
}

TEST_CASE("Defaults that cannot be are refused by their place, and so is a prefix of all VIPs") {
  DesiredState state;
  state.defaults.announce = {.preference = 0, .prefix = PrefixOf("203.0.113.0/24")};
  CHECK(Problems(state) ==
        Lines{"defaults.announce.preference: 0 is out of range; expected 1 to 999",
              "defaults.announce.prefix: a prefix is a VIP's own; give it to the VIPs that it holds"});
}

DesiredState Parsed(const std::string& text) {
  const auto state = ParseYaml(text, "lb.yaml", kPlenty);
  INFO((state ? "" : state.error().message));
  REQUIRE(state);
  return *state;
}

std::string Refused(const std::string& text) {
  const auto state = ParseYaml(text, "lb.yaml", kPlenty);
  REQUIRE_FALSE(state);
  return state.error().message;
}

TEST_CASE("The store keeps every setting, and nothing of what was not said") {
  DesiredState state;
  state.hash_key[0] = 1;
  state.vips[kWeb].announce = Full();
  state.vips[kSix].announce = {.prefix = PrefixOf("2001:db8:1::/48")};
  state.defaults.announce = {.min_percent = 40, .on_drain = StepDown::kWithdraw, .required = false};
  const std::string text = ToYaml(state);
  CHECK(Parsed(text) == state);
  CHECK_THAT(text, Contains("203.0.113.0/24") && Contains("64512:1:2"));
  for (const VipKey& key : {kWeb, kSix}) state.vips[key].announce = {};
  state.defaults.announce = {};
  CHECK_THAT(ToYaml(state), !Contains("announce"));
}

TEST_CASE("The words of the store are those that an operator types") {
  const DesiredState state = Parsed(R"(
defaults: { announce: { hold_seconds: 10, on_drain: lower } }
vips:
  - vip: "203.0.113.10:443/tcp"
    announce: { state: down, min_reals: 2, on_unhealthy: withdraw, required: true, prefix: "203.0.113.0/24", communities: [ "64512:100" ] }
)");
  CHECK(state.defaults.announce == AnnounceSettings{.on_drain = StepDown::kLower, .hold_seconds = 10});
  CHECK(state.vips.at(kWeb).announce == AnnounceSettings{.state = AnnounceState::kDown,
                                                         .min_reals = 2,
                                                         .on_unhealthy = StepDown::kWithdraw,
                                                         .required = true,
                                                         .prefix = PrefixOf("203.0.113.0/24"),
                                                         .communities = Lines{"64512:100"}});
}

TEST_CASE("What is no word of the store is refused with its line") {
  const auto announce = [](const std::string& text) {
    return Refused("vips:\n  - vip: \"203.0.113.10:443/tcp\"\n    announce: { " + text + " }\n");
  };
  CHECK_THAT(announce("state: sideways"), Contains("lb.yaml:3") && Contains("sideways"));
  CHECK_THAT(announce("on_drain: run"), Contains("lb.yaml:3") && Contains("run"));
  CHECK_THAT(announce("min_real: 1"), Contains("lb.yaml:3") && Contains("min_real"));
  CHECK_THAT(announce("preference: 2000"),
             Contains("lb.yaml:3") && Contains("2000 is out of range; expected 1 to 999"));
  CHECK_THAT(announce("prefix: \"203.0.113.1/24\""), Contains("lb.yaml:3") && Contains("203.0.113.1/24"));
}

TEST_CASE("A message of another version is refused by the field that it does not know") {
  v1::Announce message;
  message.set_state(static_cast<v1::AnnounceState>(9));
  message.set_on_unhealthy(static_cast<v1::StepDown>(8));
  message.set_on_drain(static_cast<v1::StepDown>(7));
  message.set_prefix("203.0.113.0");
  AnnounceSettings settings;
  std::vector<Problem> problems;
  FromProto(message, "announce", settings, problems);
  REQUIRE(problems.size() == 4);
  CHECK_THAT(problems[0].ToString(), Contains("announce.state: ") && Contains("9"));
  CHECK_THAT(problems[1].ToString(), Contains("announce.on_unhealthy: ") && Contains("8"));
  CHECK_THAT(problems[2].ToString(), Contains("announce.on_drain: ") && Contains("7"));
  CHECK_THAT(problems[3].ToString(), Contains("announce.prefix: ") && Contains("203.0.113.0"));
}

TEST_CASE("Each setting that differs is a line, and what is not said is called the default") {
  DesiredState from, to;
  from.vips[kWeb] = to.vips[kWeb] = {};
  to.vips[kWeb].announce = Full();
  const Lines lines = Diff(from, to);
  CHECK(lines == Lines{"~ vip 203.0.113.10:443/tcp: announce.state default -> down",
                       "~ vip 203.0.113.10:443/tcp: announce.min_reals default -> 2",
                       "~ vip 203.0.113.10:443/tcp: announce.min_percent default -> 30",
                       "~ vip 203.0.113.10:443/tcp: announce.return_reals default -> 3",
                       "~ vip 203.0.113.10:443/tcp: announce.return_percent default -> 45",
                       "~ vip 203.0.113.10:443/tcp: announce.on_unhealthy default -> lower",
                       "~ vip 203.0.113.10:443/tcp: announce.on_drain default -> lower",
                       "~ vip 203.0.113.10:443/tcp: announce.required default -> true",
                       "~ vip 203.0.113.10:443/tcp: announce.preference default -> 50",
                       "~ vip 203.0.113.10:443/tcp: announce.prefix default -> 203.0.113.0/24",
                       "~ vip 203.0.113.10:443/tcp: announce.hold_seconds default -> 7",
                       "~ vip 203.0.113.10:443/tcp: announce.max_hold_seconds default -> 70",
                       "~ vip 203.0.113.10:443/tcp: announce.communities default -> 64512:100 64512:1:2"});
  to = from;
  to.defaults.announce.required = false;
  CHECK(Diff(from, to) == Lines{"~ defaults: announce.required default -> false"});
}

TEST_CASE("A new VIP names what is said of announcing it") {
  DesiredState to;
  to.vips[kWeb].announce = {.state = AnnounceState::kDown, .min_reals = 0};
  CHECK(Diff({}, to) == Lines{"+ vip 203.0.113.10:443/tcp: announce.state down, announce.min_reals 0"});
}

}  // namespace
}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The options of an announcement as a message; what is announced as a table, as JSON, and as a piece of a BGP speaker's
// configuration.
#include "tools/shuntctl/announce_format.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <catch2/catch.hpp>

#include "tools/shuntctl/announce_options.h"

namespace shunt::ctl {
namespace {

using Catch::Matchers::Contains;
using Arguments = std::vector<std::string>;

// The options as CLI11 reads them.
std::optional<v1::Announce> Read(Arguments arguments, Words& words) {
  CLI::App app;
  AnnounceWords given;
  AddAnnounceOptions(app, given);
  std::ranges::reverse(arguments);  // as CLI11 takes them
  app.parse(arguments);
  return AnnounceOf(given, words);
}

v1::Announce Good(const Arguments& arguments) {
  Words words;
  const auto announce = Read(arguments, words);
  INFO((words.status() ? std::string() : words.status().error().message));
  REQUIRE(words.status());
  REQUIRE(announce);
  return *announce;
}

std::string Bad(const Arguments& arguments) {
  Words words;
  Read(arguments, words);
  REQUIRE_FALSE(words.status());
  return words.status().error().message;
}

TEST_CASE("Every setting of an announcement has its option", "[shuntctl]") {
  CHECK(Good({"--announce=down", "--min-reals=2", "--min-percent=30", "--return-reals=3", "--return-percent=45",
              "--on-unhealthy=lower", "--on-drain=withdraw", "--required", "--preference=50", "--prefix=203.0.113.0/24",
              "--hold=7s", "--max-hold=5m", "--community=64512:100", "--community=64512:1:2"})
            .ShortDebugString() ==
        "state: ANNOUNCE_STATE_DOWN min_reals: 2 min_percent: 30 return_reals: 3 return_percent: 45 "
        "on_unhealthy: STEP_DOWN_LOWER on_drain: STEP_DOWN_WITHDRAW required: true preference: 50 "
        "prefix: \"203.0.113.0/24\" hold_seconds: 7 max_hold_seconds: 300 communities: \"64512:100\" "
        "communities: \"64512:1:2\"");
}

TEST_CASE("Without an option of the announcement there is none", "[shuntctl]") {
  Words words;
  CHECK_FALSE(Read({}, words));
  CHECK(words.status());
}

TEST_CASE("The word default takes a setting back", "[shuntctl]") {
  const v1::Announce announce = Good({"--announce=default", "--on-unhealthy=default", "--on-drain=default",
                                      "--prefix=default", "--community=default"});
  CHECK(announce.has_state());
  CHECK(announce.ShortDebugString() ==
        "state: ANNOUNCE_STATE_UNSPECIFIED on_unhealthy: STEP_DOWN_UNSPECIFIED on_drain: STEP_DOWN_UNSPECIFIED "
        "prefix: \"\" communities: \"\"");
  CHECK(Good({"--no-required"}).ShortDebugString() == "required: false");
  CHECK(Good({"--announce=up"}).state() == v1::ANNOUNCE_STATE_UP);
}

TEST_CASE("What an option cannot be is told by its name", "[shuntctl]") {
  struct Row {
    const char* option;
    const char* name;
  };
  for (const auto& [option, name] :
       {Row{"--announce=sideways", "--announce"}, Row{"--min-reals=16384", "--min-reals"},
        Row{"--min-reals=-1", "--min-reals"}, Row{"--min-percent=101", "--min-percent"},
        Row{"--return-reals=x", "--return-reals"}, Row{"--return-percent=101", "--return-percent"},
        Row{"--on-unhealthy=run", "--on-unhealthy"}, Row{"--on-drain=up", "--on-drain"},
        Row{"--preference=0", "--preference"}, Row{"--preference=1000", "--preference"},
        Row{"--prefix=203.0.113.1/24", "--prefix"}, Row{"--prefix=web", "--prefix"}, Row{"--hold=2d", "--hold"},
        Row{"--max-hold=86401s", "--max-hold"}}) {
    INFO(option);
    CHECK_THAT(Bad({option}), Contains(name));
  }
  CHECK_THAT(Bad({"--preference=0", "--on-drain=up"}), Contains("--preference") && Contains("--on-drain"));
}

v1::Announcements Announced() {
  v1::Announcements all;
  all.set_table(83);
  all.set_protocol(84);
  all.set_host("serving");
  v1::PrefixState& web = *all.add_prefixes();
  web.set_prefix("203.0.113.10/32");
  web.set_state("announced");
  web.set_metric(100);
  web.set_cause("2 healthy reals");
  web.set_since_ms(1700000000123);
  web.add_communities("64512:100");
  web.add_communities("64512:1:2");
  web.add_vips("203.0.113.10:443/tcp");
  web.add_vips("203.0.113.10:443/udp");
  v1::PrefixState& held = *all.add_prefixes();
  held.set_prefix("203.0.113.11/32");
  held.set_state("withdrawn");
  held.set_cause("held down, for it came and went: 1 healthy reals");
  held.set_held_seconds(4);
  held.add_vips("203.0.113.11:53/udp");
  v1::PrefixState& six = *all.add_prefixes();
  six.set_prefix("2001:db8:1::/48");
  six.set_state("lowered");
  six.set_metric(1100);
  six.set_cause("the host drains");
  six.add_communities("64512:2:2");
  v1::VipAnnouncing& vip = *all.add_vips();
  vip.set_vip("203.0.113.10:443/tcp");
  vip.set_state("announced");
  vip.set_cause("2 healthy reals");
  vip.set_healthy_reals(2);
  vip.set_healthy_percent(50);
  return all;
}

TEST_CASE("What is announced is shown with the metric of each route, and why", "[shuntctl]") {
  CHECK(FormatAnnouncements(Announced(), false) ==
        "routes in table 83, protocol 84; the host is serving\n"
        "PREFIX           STATE      METRIC  VIPS  WHY\n"
        "203.0.113.10/32  announced     100     2  2 healthy reals; 64512:100 64512:1:2\n"
        "203.0.113.11/32  withdrawn       -     1  4 s more held down, for it came and went: 1 healthy reals\n"
        "2001:db8:1::/48  lowered      1100     0  the host drains; 64512:2:2\n");
  v1::Announcements all;
  CHECK(FormatAnnouncements(all, false) == "no routes are kept (shuntd --announce_table); it would be:\n");
  all.set_table(83);
  all.set_problem("adding route 203.0.113.10/32: Operation not permitted");
  CHECK_THAT(FormatAnnouncements(all, false), Contains("\nadding route 203.0.113.10/32: Operation not permitted\n"));
}

TEST_CASE("The JSON of what is announced has every key, and null for what is not there", "[shuntctl]") {
  CHECK(ToJson(Announced()) == Json::parse(R"({
    "table": 83, "protocol": 84, "problem": null, "host": "serving",
    "prefixes": [
      {"prefix": "203.0.113.10/32", "state": "announced", "metric": 100, "cause": "2 healthy reals",
       "since_ms": 1700000000123, "held_seconds": null, "communities": ["64512:100", "64512:1:2"],
       "vips": ["203.0.113.10:443/tcp", "203.0.113.10:443/udp"]},
      {"prefix": "203.0.113.11/32", "state": "withdrawn", "metric": null,
       "cause": "held down, for it came and went: 1 healthy reals", "since_ms": 0, "held_seconds": 4,
       "communities": [], "vips": ["203.0.113.11:53/udp"]},
      {"prefix": "2001:db8:1::/48", "state": "lowered", "metric": 1100, "cause": "the host drains", "since_ms": 0,
       "held_seconds": null, "communities": ["64512:2:2"], "vips": []}],
    "vips": [{"vip": "203.0.113.10:443/tcp", "state": "announced", "cause": "2 healthy reals", "healthy_reals": 2,
              "healthy_percent": 50.0}]})"));
  const Json empty = ToJson(v1::Announcements());
  CHECK(empty["table"] == nullptr);
  CHECK(empty["prefixes"] == Json::array());
}

TEST_CASE("A speaker's piece of configuration has the communities of each prefix, and no other prefix", "[shuntctl]") {
  CHECK(BirdFilter(Announced()) == R"(# Made by shuntctl announce filter bird. A filter calls shunt_communities().
function shunt_communities()
{
  if net = 203.0.113.10/32 then {
    bgp_community.add((64512,100));
    bgp_large_community.add((64512,1,2));
  }
  if net = 2001:db8:1::/48 then {
    bgp_large_community.add((64512,2,2));
  }
}
)");
  CHECK(FrrFilter(Announced()) == R"(! Made by shuntctl announce filter frr. A route-map calls SHUNT-COMMUNITIES.
no route-map SHUNT-COMMUNITIES
ip prefix-list SHUNT-PREFIX-1 seq 5 permit 203.0.113.10/32
ipv6 prefix-list SHUNT-PREFIX-2 seq 5 permit 2001:db8:1::/48
route-map SHUNT-COMMUNITIES permit 1
 match ip address prefix-list SHUNT-PREFIX-1
 set community 64512:100 additive
 set large-community 64512:1:2 additive
exit
route-map SHUNT-COMMUNITIES permit 2
 match ipv6 address prefix-list SHUNT-PREFIX-2
 set large-community 64512:2:2 additive
exit
route-map SHUNT-COMMUNITIES permit 65535
exit
)");
}

}  // namespace
}  // namespace shunt::ctl

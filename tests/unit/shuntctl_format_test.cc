// SPDX-License-Identifier: Apache-2.0
// shuntctl without a daemon: tables, JSON, the words of a command line, the default store.
#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>

#include "tools/shuntctl/default_store.h"
#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/table.h"
#include "tools/shuntctl/words.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/store_file.h"

namespace shunt::ctl {
namespace {

constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();
constexpr Capacities kAny{kNoLimit, kNoLimit, kNoLimit};

v1::State SmallState(uint64_t packets) {
  v1::State state;
  v1::VipState& vip = *state.add_vips();
  vip.set_vip("203.0.113.10:443/tcp");
  vip.set_tracking(v1::TRACKING_ALL);
  vip.set_ring_size(65537);
  vip.set_outer_ttl(64);
  vip.mutable_traffic()->set_packets(packets);
  v1::RealStatus& real = *vip.add_reals();
  real.set_address("10.0.0.11");
  real.set_weight(10);
  real.set_state(v1::REAL_STATE_ACTIVE);
  real.set_slots(65537);
  real.set_next_hop("02:00:00:00:00:01 dev eth0");
  real.mutable_traffic()->set_packets(packets);
  v1::RealStatus& drained = *vip.add_reals();
  drained.set_address("2001:db8::12");
  drained.set_state(v1::REAL_STATE_DRAIN);
  drained.set_problem("no route to 2001:db8::12");
  return state;
}

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

DesiredState OneVip() {
  return *ParseYaml(
      "defaults: { ring_size: 13 }\nvips: [ { vip: \"203.0.113.10:443/tcp\", reals: [ { address: "
      "\"10.0.0.11\" } ] } ]\n",
      "one.yaml", kAny);
}

TEST_CASE("Columns are aligned and lines have no blanks at their end", "[shuntctl]") {
  Table table({{"NAME"}, {"COUNT", Table::Align::kRight}, {"LAST"}}, 1);
  table.Add({"a", "1,000", "x"});
  table.Add({"longer", "7", ""});
  REQUIRE(table.Render(false) ==
          " NAME    COUNT  LAST\n"
          " a       1,000  x\n"
          " longer      7\n");
}

TEST_CASE("Colour changes no column and stays away when not asked for", "[shuntctl]") {
  Table table({{"A"}, {"B"}});
  table.Add({{"x", Style::kBad}, "y"});
  REQUIRE_FALSE(Contains(table.Render(false), "\033"));
  REQUIRE(Contains(table.Render(true), "\033[31mx\033[0m  y\n"));
}

TEST_CASE("Numbers are grouped by thousands", "[shuntctl]") {
  REQUIRE(Grouped(0) == "0");
  REQUIRE(Grouped(999) == "999");
  REQUIRE(Grouped(1000) == "1,000");
  REQUIRE(Grouped(123456) == "123,456");
  REQUIRE(Grouped(18446744073709551615u) == "18,446,744,073,709,551,615");
  REQUIRE(Percent(1, 3) == "33.3 %");
  REQUIRE(Percent(0, 0) == "-");
}

TEST_CASE("The overview begins with the host and its interfaces, and says why one is not attached", "[shuntctl]") {
  v1::State state;
  state.set_host("draining");
  v1::InterfaceState& first = *state.add_interfaces();
  first.set_name("eth0");
  first.set_index(2);
  first.set_attached(true);
  first.set_mode("native");
  v1::InterfaceState& second = *state.add_interfaces();
  second.set_name("eth1");
  second.set_problem("attaching to eth1: it cannot\nlower its MTU");
  REQUIRE(FormatOverview(state, false) ==
          "host        draining: its VIPs are not to be announced\n"
          "interface   eth0  native\n"
          "interface   eth1  not attached: attaching to eth1: it cannot\n");
  const Json json = ToJson(state);
  REQUIRE(json.at("host") == Json::parse(R"({"state": "draining"})"));
  REQUIRE(json.at("interfaces") == Json::parse(R"([
      {"name": "eth0", "index": 2, "attached": true, "mode": "native", "problem": null},
      {"name": "eth1", "index": null, "attached": false, "mode": null,
       "problem": "attaching to eth1: it cannot\nlower its MTU"}])"));
  state.set_host("serving");
  REQUIRE(FormatOverview(state, false).starts_with("host        serving\n"));
}

TEST_CASE("The overview shows share, next hop or why there is none, and traffic", "[shuntctl]") {
  const std::string text = FormatOverview(SmallState(12345), false);
  REQUIRE(Contains(text, "203.0.113.10:443/tcp  tracking all, 65,537 slots, outer TTL 64; 12,345 packets, 0 bytes\n"));
  REQUIRE(Contains(text, "100.0 %"));
  REQUIRE(Contains(text, "02:00:00:00:00:01 dev eth0"));
  REQUIRE(Contains(text, "none: no route to 2001:db8::12"));
  v1::State state;
  state.add_vips()->set_vip("203.0.113.10:443/tcp");
  REQUIRE(Contains(FormatOverview(state, false), "shuntctl real add 203.0.113.10:443/tcp ADDRESS"));
}

TEST_CASE("The JSON of a state has its documented keys and null for what is not there", "[shuntctl]") {
  const Json json = Json::parse(ToText(ToJson(SmallState(5))));
  const Json& vip = json.at("vips").at(0);
  REQUIRE(vip.at("vip") == "203.0.113.10:443/tcp");
  REQUIRE(vip.at("tracking") == "all");
  REQUIRE(vip.at("traffic").at("packets") == 5);
  REQUIRE(vip.at("reals").at(0).at("share") == 1.0);
  REQUIRE(vip.at("reals").at(0).at("problem").is_null());
  REQUIRE(vip.at("reals").at(1).at("state") == "drain");
  REQUIRE(vip.at("reals").at(1).at("next_hop").is_null());
  REQUIRE(RealsToJson(SmallState(5)).at("reals").at(1).at("vip") == "203.0.113.10:443/tcp");
  REQUIRE(StatsToJson(SmallState(5)).at("vips").at(0).at("reals").at(0).at("packets") == 5);
}

TEST_CASE("Rates count what came in between; a counter that began anew is no rate", "[shuntctl]") {
  const Json json = RatesToJson(SmallState(100), SmallState(300), 2.0);
  REQUIRE(json.at("vips").at(0).at("packets_per_second") == 100.0);
  REQUIRE(json.at("vips").at(0).at("reals").at(0).at("packets_per_second") == 100.0);
  REQUIRE(PerSecond(300, 100, 2.0) == 0.0);
  REQUIRE(PerSecond(0, 100, 0.0) == 0.0);
  REQUIRE(Contains(FormatRates(SmallState(0), SmallState(300000), 2.0, false), "150,000"));
  REQUIRE(TrafficOf(SmallState(7), "no such VIP").packets() == 0);
}

TEST_CASE("Verdicts that were never counted show only when asked for, and the total is of all", "[shuntctl]") {
  v1::Verdicts verdicts;
  v1::VerdictCount& sent = *verdicts.add_verdicts();
  sent.set_name("TX_ENCAPSULATED");
  sent.set_packets(1500);
  sent.set_bytes(3000);
  verdicts.add_verdicts()->set_name("DROP_FRAGMENT");
  REQUIRE_FALSE(Contains(FormatVerdicts(verdicts, false, false), "DROP_FRAGMENT"));
  REQUIRE(Contains(FormatVerdicts(verdicts, true, false), "DROP_FRAGMENT"));
  REQUIRE(Contains(FormatVerdicts(verdicts, false, false), "total"));
  REQUIRE(ToJson(verdicts).at("total").at("packets") == 1500);
  REQUIRE(ToJson(verdicts).at("verdicts").size() == 2);
}

TEST_CASE("No differences are told as such", "[shuntctl]") {
  v1::ChangeReply reply;
  REQUIRE(FormatChanges(reply, false) == "no changes\n");
  reply.add_changes("+ vip 203.0.113.10:443/tcp");
  REQUIRE(FormatChanges(reply, false) == "+ vip 203.0.113.10:443/tcp\n");
  REQUIRE(ToJson(reply, true).at("dry_run") == true);
}

TEST_CASE("All bad words of a command line are named at once, with what is possible", "[shuntctl]") {
  Words words;
  VipText(words, "203.0.113.10");
  words.Choice("--tracking", "some", {"all", "none"});
  words.Number("--weight", "1e3", 0, 65535);
  words.Number("--outer-ttl", "0", 1, 255);
  const Status status = words.status();
  REQUIRE_FALSE(status);
  REQUIRE(ExitStatusOf(status) == 2);
  const std::string& message = status.error().message;
  REQUIRE(std::ranges::count(message, '\n') == 3);
  REQUIRE(Contains(message, "VIP \"203.0.113.10\""));
  REQUIRE(Contains(message, "--tracking \"some\": expected one of all, none"));
  REQUIRE(Contains(message, "--weight \"1e3\": expected a whole number from 0 to 65535"));
  REQUIRE(Contains(message, "--outer-ttl \"0\": expected a whole number from 1 to 255"));
}

TEST_CASE("Exit statuses tell failure from input that cannot be", "[shuntctl]") {
  REQUIRE(ExitStatusOf({}) == 0);
  REQUIRE(ExitStatusOf(Fail(ErrorKind::kSystem, "")) == 1);
  REQUIRE(ExitStatusOf(Fail(ErrorKind::kInvalid, "")) == 2);
  REQUIRE(ExitStatusOf(Fail(ErrorKind::kNotFound, "")) == 2);
  REQUIRE(ExitStatusOf(Fail(ErrorKind::kExists, "")) == 2);
}

TEST_CASE("The default store says what the code does, with and without its examples", "[shuntctl]") {
  const auto plain = ParseYaml(DefaultStore(), "defaults", kAny);
  REQUIRE(plain);
  REQUIRE(*plain == DesiredState{});

  std::string filled = DefaultStore();
  filled.replace(filled.find("vips: []"), 8, "vips:");
  for (size_t at = filled.find("\n#:"); at != std::string::npos; at = filled.find("\n#:")) filled.erase(at + 1, 2);
  const auto full = ParseYaml(filled, "filled", kAny);
  REQUIRE(full);
  REQUIRE(full->hash_key != HashKey{});
  REQUIRE(full->outer_source.ipv4);
  REQUIRE(full->outer_source.ipv6);
  REQUIRE(full->vips.begin()->second.reals.begin()->second == Real{});
  VipSettings of_example;
  of_example.health.kind = CheckKind::kHttp;
  REQUIRE(EffectiveSettings(DesiredState{}, full->vips.begin()->second) == of_example);
  const auto& [key, vip] = *full->vips.begin();
  REQUIRE(PolicyOf({}, vip.announce, key.address) == PolicyOf({}, {}, key.address));
  REQUIRE(full->vips.begin()->second.tcp_settle_seconds == VipSettings{}.tcp_settle_seconds);
  REQUIRE(Contains(filled, "quic: false"));
}

TEST_CASE("The default store names every key of the schema", "[shuntctl]") {
  const std::string store = DefaultStore();
  for (const auto* type :
       {v1::Config::descriptor(), v1::VipSettings::descriptor(), v1::OuterSource::descriptor(), v1::Host::descriptor(),
        v1::Vip::descriptor(), v1::HealthCheck::descriptor(), v1::Announce::descriptor(), v1::Real::descriptor()}) {
    for (int i = 0; i < type->field_count(); ++i) {
      INFO(type->field(i)->full_name());
      const std::string key = type->field(i)->name() + ":";
      REQUIRE((Contains(store, " " + key) || Contains(store, "\n" + key) || Contains(store, "\n#:" + key)));
    }
  }
}

TEST_CASE("The JSON of a dump is a store that apply reads", "[shuntctl]") {
  DesiredState state = OneVip();
  state.hash_key[0] = 1;
  state.vips.begin()->second.tracking = Tracking::kNone;
  state.vips.begin()->second.udp_idle_seconds = 7;
  state.vips.begin()->second.tcp_settle_seconds = 8;
  state.vips[*VipKey::Parse("203.0.113.10:443/udp")].quic = true;
  state.vips.begin()->second.reals.begin()->second.state = RealState::kDrain;
  state.outer_source.ipv4 = *Prefix::Parse("10.9.0.0/16");
  const auto read = ParseYaml(ToText(ToJson(ToProto(state))), "dump.json", kAny);
  REQUIRE(read);
  REQUIRE(*read == state);
}

}  // namespace
}  // namespace shunt::ctl

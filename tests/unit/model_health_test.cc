// SPDX-License-Identifier: Apache-2.0
// A health check on its way through the message and the file, and what differs between two.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <limits>

#include "tests/unit/model_health_testing.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/diff.h"
#include "userspace/model/health_fields.h"
#include "userspace/model/store_file.h"
#include "userspace/rpc/edit.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;
using Lines = std::vector<std::string>;

constexpr Capacities kPlenty{.max_vips = 4096, .max_reals = 262144, .max_flows = 262144};
const VipKey kWeb = *VipKey::Parse("203.0.113.10:443/tcp");
const IpAddress kReal = *IpAddress::Parse("10.0.0.11");

DesiredState WithCheck(const HealthCheck& check) {
  DesiredState state;
  state.vips[kWeb].health = check;
  return state;
}

// What is wrong with the form of a check, a line each.
std::string FormProblems(const v1::HealthCheck& message, HealthCheck check = {}) {
  std::vector<Problem> problems;
  FromProto(message, "health", check, problems);
  std::string lines;
  for (const Problem& problem : problems) lines += problem.ToString() + "\n";
  return lines;
}

HealthCheck Merged(HealthCheck check, const v1::HealthCheck& message) {
  std::vector<Problem> problems;
  FromProto(message, "health", check, problems);
  REQUIRE(problems.empty());
  return check;
}

TEST_CASE("a check of every kind is valid with all its fields, and survives the message and the file") {
  for (const HealthCheck& check : FullChecks()) {
    INFO(Summary(check));
    for (const CheckField& field : CheckFields()) {
      INFO(field.name);
      // `via` and `tls_verify` have only two values; none of the fields is forgotten in FullChecks().
      if (field.BelongsTo(check.kind) && field.name != "via") CHECK_FALSE(field.is_default(check));
    }
    HealthCheck again;
    std::vector<Problem> problems;
    FromProto(ToProto(check), "health", again, problems);
    CHECK(problems.empty());
    CHECK(again == check);

    DesiredState state = WithCheck(check);
    state.defaults.health = check;
    const auto read = ParseYaml(ToYaml(state), "lb.yaml", kPlenty);
    INFO((read ? std::string() : read.error().message));
    REQUIRE(read);
    CHECK(*read == state);
  }
}

TEST_CASE("random checks survive the message and the file") {
  std::mt19937 random(4711);  // NOLINT: the same ones each time
  for (int i = 0; i < 2000; ++i) {
    const DesiredState state = WithCheck(RandomCheck(random));
    const std::string text = ToYaml(state);
    INFO(text);
    const auto again = DesiredStateOf(ToProto(state));
    REQUIRE(again);
    REQUIRE(*again == state);
    const auto read = ParseYaml(text, "lb.yaml", kPlenty);
    INFO((read ? std::string() : read.error().message));
    REQUIRE(read);
    REQUIRE(*read == state);
    REQUIRE(Diff(state, *read).empty());
  }
}

TEST_CASE("a check is written as its kind and what differs from the defaults, in one line") {
  DesiredState state = WithCheck({.kind = CheckKind::kHttp, .interval_ms = 500, .path = "/health"});
  state.vips[kWeb].slow_start_exponent = 0.5;
  state.vips[kWeb].reals[kReal].canary_tenths = 1;
  CHECK_THAT(ToYaml(state), Contains("\n    health: { kind: http, interval_ms: 500, path: \"/health\" }\n"
                                     "    slow_start_exponent: 0.5\n"
                                     "    reals:\n"
                                     "      - { address: \"10.0.0.11\", weight: 10, canary_percent: 0.1 }\n"));
  state = WithCheck({.kind = CheckKind::kExec, .via = ProbeVia::kDirect, .command = {"/bin/true", "-x \"y\""}});
  CHECK_THAT(ToYaml(state), Contains("    health: { kind: exec, command: [ \"/bin/true\", \"-x \\\"y\\\"\" ] }\n"));
  CHECK_THAT(ToYaml(WithCheck({})), Contains("    health: { kind: none }\n"));
  CHECK_FALSE(ToProto(DesiredState{}).defaults().has_health());
}

TEST_CASE("status codes are ranges in text") {
  const std::vector<StatusRange> both = {{200, 299}, {304, 304}};
  CHECK(ParseStatus("200-299,304") == both);
  CHECK(StatusText(both) == "200-299,304");
  CHECK(ParseStatus("100-599") == std::vector<StatusRange>{{100, 599}});
  for (const char* bad : {"", ",", "200,", "99", "600", "2xx", "299-200", "200-", "-200", "200 ", "200, 204", "200-600",
                          "0200", "200--204", "+200"}) {
    INFO(bad);
    CHECK_FALSE(ParseStatus(bad));
  }
  v1::HealthCheck message;
  message.set_status("2xx");
  CHECK(FormProblems(message) ==
        "health.status: \"2xx\": expected status codes and ranges from 100 to 599, such as 200-299,304\n");
}

TEST_CASE("a payload is text where text says it, else digits") {
  using std::string_literals::operator""s;
  for (const auto& [bytes, text] : std::vector<std::pair<std::string, std::string>>{
           {"PING", "PING"},
           {"gr\xc3\xbc\xc3\x9f\x65", "gr\xc3\xbc\xc3\x9f\x65"},
           {"\0\xff"s, "0x00ff"},
           {"0x00", "0x30783030"},
           {"a\n", "0x610a"},
           {"\x7f", "0x7f"},
           {"\xc2\x85", "0xc285"},              // a control character of two bytes
           {"\xc0\xaf", "0xc0af"},              // overlong
           {"\xed\xa0\x80", "0xeda080"},        // a surrogate
           {"\xf4\x90\x80\x80", "0xf4908080"},  // beyond the last character
           {"\xe2\x82", "0xe282"}}) {           // cut
    INFO(text);
    CHECK(PayloadText(bytes) == text);
    CHECK(ParsePayload(text) == bytes);
  }
  CHECK(ParsePayload("0xABcd") == "\xab\xcd");
  for (const char* bad : {"0x", "0x0", "0x0g", "0x 0", "0x-1"}) {
    INFO(bad);
    CHECK_FALSE(ParsePayload(bad));
    v1::HealthCheck message;
    message.set_send(bad);
    message.set_expect(bad);
    CHECK_THAT(FormProblems(message), Contains("health.send: ") && Contains("health.expect: ") &&
                                          Contains("an even number of hexadecimal digits"));
  }
}

TEST_CASE("what is no value in form is told, each with its place") {
  v1::HealthCheck message;
  message.set_kind(static_cast<v1::CheckKind>(99));
  message.set_via(static_cast<v1::ProbeVia>(98));
  message.set_initial(static_cast<v1::InitialState>(97));
  message.set_dns_type(static_cast<v1::DnsType>(96));
  message.set_port(65536);
  CHECK(FormProblems(message) ==
        "health.kind: value 99 is unknown to this version\n"
        "health.port: 65536 is out of range; expected 1 to 65535\n"
        "health.initial: value 97 is unknown to this version\n"
        "health.dns_type: value 96 is unknown to this version\n"
        "health.via: value 98 is unknown to this version\n");
}

TEST_CASE("a program asks by no tunnel: saying so is refused, and leaving it out is direct") {
  v1::HealthCheck message;
  message.set_kind(v1::CHECK_KIND_EXEC);
  CHECK(Merged({}, message).via == ProbeVia::kDirect);
  message.set_via(v1::PROBE_VIA_DIRECT);
  CHECK(Merged({}, message).via == ProbeVia::kDirect);
  message.set_via(v1::PROBE_VIA_TUNNEL);
  CHECK_THAT(FormProblems(message), Contains("health.via: a program (exec) asks by no tunnel"));
  message.set_kind(v1::CHECK_KIND_TCP);
  message.clear_via();
  CHECK(Merged({.kind = CheckKind::kExec, .via = ProbeVia::kDirect}, message).via == ProbeVia::kTunnel);
}

TEST_CASE("a change of kind drops what the new kind has not, but what comes with it") {
  const HealthCheck http = {
      .kind = CheckKind::kHttp, .port = 8080, .interval_ms = 500, .timeout_ms = 400, .path = "/health"};
  v1::HealthCheck to;
  to.set_kind(v1::CHECK_KIND_TCP);
  CHECK(Merged(http, to) == HealthCheck{.kind = CheckKind::kTcp, .port = 8080, .interval_ms = 500, .timeout_ms = 400});
  to.set_kind(v1::CHECK_KIND_HTTPS);
  to.set_tls_verify(false);
  HealthCheck https = http;
  https.kind = CheckKind::kHttps;
  https.tls_verify = false;
  CHECK(Merged(http, to) == https);
  to.Clear();
  to.set_kind(v1::CHECK_KIND_ICMP);
  CHECK(Merged(http, to).port == 0);
  to.set_kind(v1::CHECK_KIND_NONE);
  CHECK(Merged(http, to) == HealthCheck{});
}

TEST_CASE("an empty text is the default again") {
  HealthCheck check = FullChecks()[static_cast<size_t>(CheckKind::kHttps)];
  v1::HealthCheck message;
  message.set_method("");
  message.set_path("");
  message.set_host("");
  message.set_status("");
  message.set_body("");
  message.set_tls_name("");
  check = Merged(check, message);
  CHECK(check.method == "GET");
  CHECK(check.path == "/");
  CHECK(check.host.empty());
  CHECK(check.status == HealthCheck{}.status);
  CHECK(check.body.empty());
  CHECK(check.tls_name.empty());
}

TEST_CASE("canaries are whole tenths of a per cent") {
  const auto tenths = [](double percent) {
    v1::Config config;
    config.add_vips()->set_vip("203.0.113.10:443/tcp");
    v1::Real& real = *config.mutable_vips(0)->add_reals();
    real.set_address("10.0.0.11");
    real.set_canary_percent(percent);
    DesiredState state;
    const auto problems = FromProto(config, state);
    REQUIRE(problems.size() <= 1);
    if (!problems.empty()) {
      CHECK(problems.front().path == "vips[0].reals[0].canary_percent");
      return -1;
    }
    const auto found = state.vips.at(kWeb).reals.at(kReal).canary_tenths;
    return found ? static_cast<int>(*found) : 0;
  };
  for (int i = 1; i <= 1000; ++i) CHECK(tenths(i / 10.0) == i);
  CHECK(tenths(0) == 0);
  for (const double bad : {0.05, 0.15, -0.1, 100.1, 1e300, std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}) {
    INFO(bad);
    CHECK(tenths(bad) == -1);
  }
}

TEST_CASE("the settings of health and its reals survive the message and the file") {
  DesiredState state;
  state.defaults.panic_percent = 0;
  state.defaults.panic_action = PanicAction::kWithdraw;
  state.defaults.slow_start_seconds = 0;
  state.defaults.slow_start_exponent = 10;
  state.defaults.backup_below_percent = 1;
  state.defaults.ring_changes_per_second = 100;
  Vip& vip = state.vips[kWeb];
  vip.panic_percent = 100;
  vip.panic_action = PanicAction::kFailClosed;
  vip.slow_start_seconds = 3600;
  vip.slow_start_exponent = 0.1;
  vip.backup_below_percent = 100;
  vip.ring_changes_per_second = 1;
  vip.active_group = "green-2_X";
  vip.reals[kReal] = {.state = RealState::kDrain, .drain_seconds = 300, .canary_tenths = 499, .group = "green-2_X"};
  vip.reals[*IpAddress::Parse("10.0.0.12")].backup = true;
  const auto read = ParseYaml(ToYaml(state), "lb.yaml", kPlenty);
  INFO((read ? std::string() : read.error().message));
  REQUIRE(read);
  CHECK(*read == state);
  for (double exponent = 0.1; exponent < 10; exponent *= 1.0173) {
    vip.slow_start_exponent = exponent;
    CHECK(ParseYaml(ToYaml(state), "lb.yaml", kPlenty).value().vips.at(kWeb).slow_start_exponent == exponent);
  }
}

TEST_CASE("a changed check is told field by field, a new one in one line") {
  const DesiredState none;
  DesiredState from = WithCheck({.kind = CheckKind::kHttp, .interval_ms = 2000, .path = "/health"});
  DesiredState to = WithCheck({.kind = CheckKind::kHttps, .interval_ms = 1000, .path = "/ready"});
  const std::string vip = " vip 203.0.113.10:443/tcp: ";
  CHECK(Diff(from, to) == Lines{"~" + vip + "health.kind http -> https", "~" + vip + "health.interval_ms 2000 -> 1000",
                                "~" + vip + "health.path \"/health\" -> \"/ready\""});
  CHECK(Diff(none, from) == Lines{"+" + vip + "health http (path \"/health\")"});
  DesiredState plain;
  plain.vips[kWeb] = {};
  CHECK(Diff(plain, to) == Lines{"~" + vip + "health default -> https (interval_ms 1000, path \"/ready\")"});
  CHECK(Diff(to, plain) == Lines{"~" + vip + "health https (interval_ms 1000, path \"/ready\") -> default"});
  DesiredState defaults;
  defaults.defaults.health.kind = CheckKind::kTcp;
  CHECK(Diff(none, defaults) == Lines{"~ defaults: health.kind none -> tcp"});
}

TEST_CASE("every field that differs is a line, even where the texts look alike") {
  for (const HealthCheck& check : FullChecks()) {
    INFO(Summary(check));
    for (const CheckField& field : CheckFields()) {
      if (!field.BelongsTo(check.kind) || field.is_default(check)) continue;
      HealthCheck other = check;
      field.reset(other);
      const Lines lines = Diff(WithCheck(check), WithCheck(other));
      REQUIRE(lines.size() == 1);
      CHECK_THAT(lines.front(), Contains(fmt::format("health.{} ", field.name)));
    }
  }
  HealthCheck check = {.kind = CheckKind::kHttp, .body = std::string(200, 'x')};
  HealthCheck longer = check;
  longer.body += 'y';
  CHECK(Diff(WithCheck(check), WithCheck(longer)).size() == 1);
}

TEST_CASE("what changes about panic, slow start and roles is told") {
  DesiredState from;
  from.vips[kWeb].reals[kReal] = {};
  DesiredState to = from;
  Vip& vip = to.vips[kWeb];
  vip.panic_percent = 30;
  vip.panic_action = PanicAction::kFailClosed;
  vip.slow_start_seconds = 10;
  vip.slow_start_exponent = 1.5;
  vip.backup_below_percent = 20;
  vip.ring_changes_per_second = 5;
  vip.active_group = "green";
  vip.reals[kReal] = {
      .state = RealState::kDrain, .drain_seconds = 60, .backup = true, .canary_tenths = 5, .group = "green"};
  const std::string name = "~ vip 203.0.113.10:443/tcp: ", real = "~ real 203.0.113.10:443/tcp 10.0.0.11: ";
  CHECK(Diff(from, to) ==
        Lines{name + "panic_percent default -> 30", name + "panic_action default -> fail_closed",
              name + "slow_start_seconds default -> 10", name + "slow_start_exponent default -> 1.5",
              name + "backup_below_percent default -> 20", name + "ring_changes_per_second default -> 5",
              name + "active_group none -> green", real + "state active -> drain", real + "drain_seconds none -> 60",
              real + "backup false -> true", real + "canary_percent none -> 0.5", real + "group none -> green"});
  CHECK(Diff({}, to) ==
        Lines{"+ vip 203.0.113.10:443/tcp: panic_percent 30, panic_action fail_closed, slow_start_seconds 10, "
              "slow_start_exponent 1.5, backup_below_percent 20, ring_changes_per_second 5, active_group green",
              "+ real 203.0.113.10:443/tcp 10.0.0.11: state drain, drain_seconds 60, backup true, canary_percent 0.5, "
              "group green"});
  DesiredState defaults = from;
  defaults.defaults.panic_percent = 51;
  defaults.defaults.panic_action = PanicAction::kWithdraw;
  defaults.defaults.slow_start_seconds = 31;
  defaults.defaults.slow_start_exponent = 2;
  defaults.defaults.backup_below_percent = 52;
  defaults.defaults.ring_changes_per_second = 21;
  CHECK(Diff(from, defaults) ==
        Lines{"~ defaults: panic_percent 50 -> 51", "~ defaults: panic_action fail_open -> withdraw",
              "~ defaults: slow_start_seconds 30 -> 31", "~ defaults: slow_start_exponent 1 -> 2",
              "~ defaults: backup_below_percent 50 -> 52", "~ defaults: ring_changes_per_second 20 -> 21"});
}

}  // namespace
}  // namespace shunt

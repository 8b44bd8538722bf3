// SPDX-License-Identifier: Apache-2.0
// Health settings that cannot be: every one of them named, with its place and what to do.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include <functional>
#include <limits>

#include "tests/unit/model_health_testing.h"
#include "userspace/model/health_fields.h"
#include "userspace/model/store_file.h"
#include "userspace/model/validate.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

constexpr Capacities kPlenty{.max_vips = 4096, .max_reals = 262144, .max_flows = 262144};
const VipKey kWeb = *VipKey::Parse("203.0.113.10:443/tcp");
const VipKey kAllPorts = *VipKey::Parse("203.0.113.10:*/tcp");
const IpAddress kReal = *IpAddress::Parse("10.0.0.11");
const IpAddress kOther = *IpAddress::Parse("10.0.0.12");

std::string Problems(const DesiredState& state) {
  std::string lines;
  for (const Problem& problem : Validate(state, kPlenty)) lines += problem.ToString() + "\n";
  return lines;
}

std::string ProblemsOf(const HealthCheck& check) {
  DesiredState state;
  state.vips[kWeb].health = check;
  return Problems(state);
}

HealthCheck Full(CheckKind kind) { return FullChecks()[static_cast<size_t>(kind)]; }

TEST_CASE("full and random checks are valid, of a VIP and of the defaults") {
  std::mt19937 random(815);  // NOLINT: the same ones each time
  std::vector<HealthCheck> checks = FullChecks();
  for (int i = 0; i < 500; ++i) checks.push_back(RandomCheck(random));
  for (const HealthCheck& check : checks) {
    INFO(Summary(check));
    CHECK(ProblemsOf(check) == "");
    DesiredState state;
    state.defaults.health = check;
    state.vips[kWeb] = {};
    CHECK(Problems(state) == "");
  }
}

// One thing that cannot be, done to a full check of a kind: the field that is named, and words of the reason.
struct Impossible {
  CheckKind kind;
  std::function<void(HealthCheck&)> spoil;
  std::string field;
  std::string why;
};

const std::string kLongLabel(64, 'a');
const std::string kLongName =
    std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(63, 'd');

void CheckEach(const std::vector<Impossible>& table) {
  for (const auto& [kind, spoil, field, why] : table) {
    HealthCheck check = Full(kind);
    spoil(check);
    INFO(ToString(kind) << " " << field << " " << why);
    const std::string problems = ProblemsOf(check);
    CHECK_THAT(problems, StartsWith("vips[\"203.0.113.10:443/tcp\"].health." + field + ": ") && Contains(why));
    CHECK(std::ranges::count(problems, '\n') == 1);
  }
}

TEST_CASE("times and counts out of range are refused") {
  using enum CheckKind;
  CheckEach({
      {kTcp, [](auto& c) { c.interval_ms = 3600001; }, "interval_ms", "expected 100 to 3600000"},
      {kTcp, [](auto& c) { c.timeout_ms = c.interval_ms = 99; }, "interval_ms", "99 is out of range"},
      {kTcp, [](auto& c) { c.failing_interval_ms = 3600001; }, "failing_interval_ms", "expected 100 to 3600000"},
      {kTcp, [](auto& c) { c.timeout_ms = 9; }, "timeout_ms", "9 is out of range; expected 10 to 60000"},
      {kTcp, [](auto& c) { c.timeout_ms = c.interval_ms = c.failing_interval_ms = 60001; }, "timeout_ms", "60001"},
      {kTcp, [](auto& c) { c.timeout_ms = 501; }, "timeout_ms", "501 is longer than failing_interval_ms, 500"},
      {kTcp, [](auto& c) { c.timeout_ms = c.failing_interval_ms = 1001; }, "timeout_ms", "than interval_ms, 1000"},
      {kTcp, [](auto& c) { c.rise = 0; }, "rise", "expected 1 to 100"},
      {kTcp, [](auto& c) { c.rise = 101; }, "rise", "expected 1 to 100"},
      {kTcp, [](auto& c) { c.fall = 0; }, "fall", "expected 1 to 100"},
      {kTcp, [](auto& c) { c.fall = 101; }, "fall", "expected 1 to 100"},
      {kTcp, [](auto& c) { c.jitter_percent = 51; }, "jitter_percent", "expected 0 to 50"},
  });
  HealthCheck bounds = {.kind = kTcp, .interval_ms = 100, .timeout_ms = 10, .rise = 1, .fall = 1, .jitter_percent = 0};
  CHECK(ProblemsOf(bounds) == "");
  bounds = {.kind = kTcp, .interval_ms = 3600000, .timeout_ms = 60000, .rise = 100, .fall = 100, .jitter_percent = 50};
  CHECK(ProblemsOf(bounds) == "");
  bounds.timeout_ms = 60000;
  bounds.interval_ms = 60000;
  CHECK(ProblemsOf(bounds) == "");
}

TEST_CASE("requests that cannot be asked are refused") {
  using enum CheckKind;
  CheckEach({
      {kHttp, [](auto& c) { c.method = "get"; }, "method", "upper-case letters"},
      {kHttp, [](auto& c) { c.method = "GET /x"; }, "method", "upper-case letters"},
      {kHttp, [](auto& c) { c.method = ""; }, "method", "upper-case letters"},
      {kHttp, [](auto& c) { c.method = std::string(33, 'A'); }, "method", "up to 32"},
      {kHttp, [](auto& c) { c.method = "CONNECT"; }, "method", "asks for no page"},
      {kHttp, [](auto& c) { c.method = "HEAD"; }, "body", "ask with GET"},
      {kHttp, [](auto& c) { c.path = "health"; }, "path", "expected / and visible"},
      {kHttp, [](auto& c) { c.path = ""; }, "path", "expected / and visible"},
      {kHttp, [](auto& c) { c.path = "/a b"; }, "path", "write others as %20"},
      {kHttp, [](auto& c) { c.path = "/\r\nX-Evil: 1"; }, "path", "\\x0d\\x0a"},
      {kHttp, [](auto& c) { c.path = "/gr\xc3\xbc"; }, "path", "visible ASCII"},
      {kHttp, [](auto& c) { c.path = "/a#b"; }, "path", "but #"},
      {kHttp, [](auto& c) { c.path = "/" + std::string(4096, 'a'); }, "path", "expected at most 4096"},
      {kHttp, [](auto& c) { c.host = "a\r\nX-Evil: 1"; }, "host", "expected a name or an address"},
      {kHttp, [](auto& c) { c.host = "a b"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "a:"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "a:0"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "a:65536"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "2001:db8::1"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "[2001:db8::1"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "[10.0.0.1]"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "[2001:db8::1]x:80"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.host = "a..b"; }, "host", "expected a name"},
      {kHttp, [](auto& c) { c.status = {}; }, "status", "empty"},
      {kHttp, [](auto& c) { c.status = {{99, 200}}; }, "status", "99-200 is no range"},
      {kHttp, [](auto& c) { c.status = {{300, 200}}; }, "status", "300-200 is no range"},
      {kHttp, [](auto& c) { c.status = {{200, 600}}; }, "status", "200-600 is no range"},
      {kHttp, [](auto& c) { c.body = std::string(4097, 'x'); }, "body", "4097 bytes are too many"},
      {kHttp, [](auto& c) { c.body = "\xff"; }, "body", "expected UTF-8"},
      {kGrpc, [](auto& c) { c.grpc_service = std::string(4097, 'x'); }, "grpc_service", "too many"},
      {kGrpc, [](auto& c) { c.grpc_service = "\xff"; }, "grpc_service", "expected UTF-8"},
  });
  for (const char* good : {"10.0.0.1", "[2001:db8::1]", "[2001:db8::1]:8443", "www", "a_b.example:1"}) {
    HealthCheck check = Full(kHttp);
    check.host = good;
    INFO(good);
    CHECK(ProblemsOf(check) == "");
  }
}

TEST_CASE("TLS settings that cannot be are refused") {
  using enum CheckKind;
  CheckEach({
      {kTls, [](auto& c) { c.tls_key = ""; }, "tls_key", "missing; tls_certificate needs it"},
      {kTls, [](auto& c) { c.tls_certificate = ""; }, "tls_certificate", "missing; tls_key needs it"},
      {kTls, [](auto& c) { c.tls_ca = "ca.pem"; }, "tls_ca", "expected an absolute path"},
      {kTls, [](auto& c) { c.tls_certificate = "../c.pem"; }, "tls_certificate", "expected an absolute path"},
      {kTls, [](auto& c) { c.tls_key = "/a\nb"; }, "tls_key", "expected an absolute path"},
      {kTls, [](auto& c) { c.tls_ca = "/" + std::string(4096, 'a'); }, "tls_ca", "too many"},
      {kTls, [](auto& c) { c.tls_name = "10.0.0.1"; }, "tls_name", "an address is none"},
      {kTls, [](auto& c) { c.tls_name = "a:443"; }, "tls_name", "expected a name"},
      {kTls, [](auto& c) { c.tls_name = kLongLabel; }, "tls_name", "expected a name"},
  });
  HealthCheck plain = Full(kHttp2);
  plain.tls = false;
  const std::string problems = ProblemsOf(plain);
  for (const char* field : {"tls_verify", "tls_name", "tls_ca", "tls_certificate", "tls_key"}) {
    CHECK_THAT(problems, Contains(std::string(field) + ": a check of kind http2 has TLS only with tls: true"));
  }
  CHECK(std::ranges::count(problems, '\n') == 5);
}

TEST_CASE("datagrams, queries and programs that cannot be are refused") {
  using enum CheckKind;
  CheckEach({
      {kUdp, [](auto& c) { c.send = ""; }, "send", "missing"},
      {kUdp, [](auto& c) { c.send = std::string(1201, 'x'); }, "send", "1201 bytes are too many"},
      {kUdp, [](auto& c) { c.expect = std::string(1201, 'x'); }, "expect", "expected at most 1200"},
      {kDns, [](auto& c) { c.dns_name = ""; }, "dns_name", "expected a domain name"},
      {kDns, [](auto& c) { c.dns_name = "a..b"; }, "dns_name", "expected a domain name"},
      {kDns, [](auto& c) { c.dns_name = ".a"; }, "dns_name", "expected a domain name"},
      {kDns, [](auto& c) { c.dns_name = "a b"; }, "dns_name", "expected a domain name"},
      {kDns, [](auto& c) { c.dns_name = kLongLabel; }, "dns_name", "labels of up to 63"},
      {kDns, [](auto& c) { c.dns_name = kLongName; }, "dns_name", "at most 253"},
      {kDns, [](auto& c) { c.dns_expect = "www"; }, "dns_expect", "\"www\""},
      {kDns, [](auto& c) { c.dns_expect = "192.0.2.1"; }, "dns_expect",
       "is an IPv4 address, which no answer of type aaaa"},
      {kDns, [](auto& c) { c.dns_type = DnsType::kA; }, "dns_expect", "is an IPv6 address, which no answer of type a "},
      {kDns, [](auto& c) { c.dns_type = DnsType::kTxt; }, "dns_expect", "give dns_type: a or aaaa"},
      {kExec, [](auto& c) { c.command = {}; }, "command", "missing"},
      {kExec, [](auto& c) { c.command = {"test"}; }, "command", "no shell"},
      {kExec, [](auto& c) { c.command.resize(34); }, "command", "33 arguments are too many; expected at most 32"},
      {kExec, [](auto& c) { c.command[1] = std::string(4096, 'x'); }, "command", "bytes are too many"},
      {kExec, [](auto& c) { c.command[1] = std::string("a\0b", 3); }, "command", "without zero bytes"},
      {kExec, [](auto& c) { c.command[1] = "\xff"; }, "command", "UTF-8"},
      {kExec, [](auto& c) { c.user = ""; }, "user", "expected a user's name"},
      {kExec, [](auto& c) { c.user = "-u"; }, "user", "expected a user's name"},
      {kExec, [](auto& c) { c.user = "a:b"; }, "user", "expected a user's name"},
      {kExec, [](auto& c) { c.user = std::string(33, 'u'); }, "user", "up to 32"},
  });
  for (const std::string& good : {std::string("."), std::string("_sip._tcp.example."), kLongName.substr(2)}) {
    HealthCheck check = Full(kDns);
    check.dns_name = good;
    INFO(good);
    CHECK(ProblemsOf(check) == "");
  }
}

TEST_CASE("every field of another kind is refused with the kinds that have it") {
  for (const HealthCheck& other : FullChecks()) {
    for (const HealthCheck& full : FullChecks()) {
      if (full.kind == CheckKind::kNone) continue;
      for (const CheckField& field : CheckFields()) {
        if (field.BelongsTo(full.kind) || !field.BelongsTo(other.kind) || field.is_default(other)) continue;
        if (field.name == "via") continue;
        HealthCheck mixed = other;
        mixed.kind = full.kind;
        INFO(ToString(full.kind) << " with " << field.name << " of " << ToString(other.kind));
        CHECK_THAT(ProblemsOf(mixed), Contains(fmt::format(".health.{}: belongs to {}; this check is {}\n", field.name,
                                                           field.KindsText(), ToString(full.kind))));
      }
    }
  }
  HealthCheck tcp = {.kind = CheckKind::kTcp, .path = "/x"};
  CHECK(ProblemsOf(tcp) ==
        "vips[\"203.0.113.10:443/tcp\"].health.path: belongs to http, https and http2; this check is tcp\n");
  CHECK_THAT(ProblemsOf({.interval_ms = 500, .path = "/x"}),
             Contains(".health.kind: none has no interval_ms, path; give a kind"));
}

TEST_CASE("a VIP with port * needs a port for its check, and the defaults' check is told once") {
  DesiredState state;
  state.vips[kAllPorts].health = HealthCheck{.kind = CheckKind::kHttp};
  CHECK_THAT(Problems(state), StartsWith("vips[\"203.0.113.10:*/tcp\"].health.port: missing; the VIP has port *"));
  state.vips[kAllPorts].health->port = 80;
  CHECK(Problems(state) == "");
  for (const CheckKind kind : {CheckKind::kNone, CheckKind::kIcmp, CheckKind::kExec}) {
    state.vips[kAllPorts].health = Full(kind);
    CHECK(Problems(state) == "");
  }
  state.vips[kAllPorts].health.reset();
  state.defaults.health.kind = CheckKind::kTcp;
  state.vips[*VipKey::Parse("203.0.113.11:*/tcp")] = {};
  state.vips[*VipKey::Parse("203.0.113.12:*/udp")] = {};
  state.vips[kWeb] = {};
  CHECK_THAT(Problems(state),
             StartsWith("defaults.health.port: missing; 203.0.113.10:*/tcp and 2 more VIPs with port *"));
  CHECK(std::ranges::count(Problems(state), '\n') == 1);
  state.defaults.health.port = 80;
  CHECK(Problems(state) == "");
  state.defaults.health.rise = 0;  // of 4 VIPs, told once
  CHECK(Problems(state) == "defaults.health.rise: 0 is out of range; expected 1 to 100\n");
}

TEST_CASE("panic, slow start and pace out of range are refused, in the defaults and in a VIP") {
  const auto spoil = [](auto& settings) {
    settings.panic_percent = 101;
    settings.slow_start_seconds = 3601;
    settings.slow_start_exponent = 0.09;
    settings.backup_below_percent = 0;
    settings.ring_changes_per_second = 0;
  };
  const auto expected = [](const std::string& path) {
    return path + ".panic_percent: 101 is out of range; expected 0 to 100\n" + path +
           ".slow_start_seconds: 3601 is out of range; expected 0 to 3600\n" + path +
           ".slow_start_exponent: 0.09 is out of range; expected 0.1 to 10\n" + path +
           ".backup_below_percent: 0 is out of range; expected 1 to 100\n" + path +
           ".ring_changes_per_second: 0 is out of range; expected 1 to 100\n";
  };
  DesiredState state;
  spoil(state.defaults);
  spoil(state.vips[kWeb]);
  CHECK(Problems(state) == expected("defaults") + expected("vips[\"203.0.113.10:443/tcp\"]"));
  state = {};
  state.vips[kWeb].backup_below_percent = 101;
  state.vips[kWeb].ring_changes_per_second = 101;
  CHECK(std::ranges::count(Problems(state), '\n') == 2);
  for (const double bad :
       {10.1, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    state = {};
    state.vips[kWeb].slow_start_exponent = bad;
    INFO(bad);
    CHECK_THAT(Problems(state), Contains(".slow_start_exponent: "));
  }
}

TEST_CASE("reals that cannot be what they are told to be are refused") {
  DesiredState state;
  Vip& vip = state.vips[kWeb];
  const std::string place = "vips[\"203.0.113.10:443/tcp\"].reals[\"10.0.0.11\"].";
  const auto problems = [&](const Real& real) {
    vip.reals = {{kReal, real}, {kOther, {}}};
    return Problems(state);
  };
  CHECK(problems({.state = RealState::kDrain, .drain_seconds = kMaxDrainSeconds}) == "");
  CHECK(problems({.state = RealState::kDrain, .drain_seconds = 0}) ==
        place + "drain_seconds: 0 is out of range; expected 1 to 604800\n");
  CHECK(problems({.state = RealState::kDrain, .drain_seconds = kMaxDrainSeconds + 1}) ==
        place + "drain_seconds: 604801 is out of range; expected 1 to 604800\n");
  CHECK_THAT(problems({.drain_seconds = 5}), StartsWith(place + "drain_seconds: the real is active"));
  CHECK(problems({.canary_tenths = 1}) == "");
  CHECK(problems({.canary_tenths = 500}) == "");
  CHECK(problems({.canary_tenths = 0}) == place + "canary_percent: 0 is out of range; expected 0.1 to 50\n");
  CHECK(problems({.canary_tenths = 501}) == place + "canary_percent: 50.1 is out of range; expected 0.1 to 50\n");
  CHECK_THAT(problems({.backup = true, .canary_tenths = 5}),
             StartsWith(place + "canary_percent: the real is a backup"));
  CHECK(problems({.group = std::string(32, 'g')}) == "");
  for (const std::string& bad :
       {std::string(33, 'g'), std::string("a b"), std::string("a.b"), std::string("\xc3\xbc")}) {
    CHECK_THAT(problems({.group = bad}), StartsWith(place + "group: ") && Contains("expected 1 to 32 letters"));
  }
}

TEST_CASE("a VIP's reals must fit together: canaries, backups and the active group") {
  DesiredState state;
  Vip& vip = state.vips[kWeb];
  const std::string place = "vips[\"203.0.113.10:443/tcp\"].";
  vip.reals = {{kReal, {.canary_tenths = 450}}, {kOther, {.canary_tenths = 450}}};
  CHECK(Problems(state) == "");
  vip.reals[kOther].canary_tenths = 451;
  CHECK(Problems(state) == place + "reals: the canaries take 90.1 % together; expected at most 90 %\n");
  vip.reals = {{kReal, {.backup = true}}, {kOther, {.backup = true}}};
  CHECK(Problems(state) == place + "reals: every real is a backup; at least one must be none\n");
  vip.reals[kOther].backup = false;
  CHECK(Problems(state) == "");
  vip.active_group = "green";
  CHECK_THAT(Problems(state), StartsWith(place + "active_group: no real has the group \"green\""));
  vip.reals[kReal].group = "green";
  CHECK(Problems(state) == "");
  vip.active_group = vip.reals[kReal].group = "a b";
  CHECK_THAT(Problems(state),
             Contains(place + "active_group: \"a b\"") && Contains(place + "reals[\"10.0.0.11\"].group"));
}

TEST_CASE("a file of impossible health settings is refused with every problem, each with its line") {
  const auto state = ParseYaml(R"(defaults:
  health: { kind: tcp, interval_ms: 50, timeout_ms: 70000 }
  panic_percent: 150
  slow_start_exponent: 1e3
vips:
  - vip: "203.0.113.10:443/tcp"
    active_group: purple
    health:
      kind: tcp
      path: /health
      port: 70000
  - vip: "203.0.113.11:443/tcp"
    health:
      kind: http
      path: health
      method: "GE T"
      status: "2xx"
      tls_ca: /x
      timeout_ms: 3000
    reals:
      - { address: 10.0.0.11, drain_seconds: 5, canary_percent: 0.05 }
      - { address: 10.0.0.12, backup: true, canary_percent: 60 }
  - vip: "203.0.113.12:*/udp"
    health: { kind: udp, expect: "0xz" }
  - vip: "203.0.113.13:53/udp"
    health: { kind: exec, via: tunnel, command: [ true, [] ] }
  - vip: "203.0.113.14:53/udp"
    health: { kind: ping }
)",
                               "lb.yaml", kPlenty);
  REQUIRE_FALSE(state);
  CHECK(state.error().message ==
        R"(lb.yaml:2: defaults.health.interval_ms: 50 is out of range; expected 100 to 3600000
lb.yaml:2: defaults.health.timeout_ms: 70000 is out of range; expected 10 to 60000
lb.yaml:2: defaults.health.timeout_ms: 70000 is longer than interval_ms, 50; one probe ends before the next begins
lb.yaml:3: defaults.panic_percent: 150 is out of range; expected 0 to 100
lb.yaml:4: defaults.slow_start_exponent: expected a number such as 2 or 0.5, in decimal digits and without quotes, found "1e3"
lb.yaml:7: vips["203.0.113.10:443/tcp"].active_group: no real has the group "purple"; give it to some real first, or leave active_group out
lb.yaml:10: vips["203.0.113.10:443/tcp"].health.path: belongs to http, https and http2; this check is tcp
lb.yaml:11: vips[0].health.port: 70000 is out of range; expected 1 to 65535
lb.yaml:15: vips["203.0.113.11:443/tcp"].health.path: "health": expected / and visible ASCII characters but #; write others as %20 and so on
lb.yaml:16: vips["203.0.113.11:443/tcp"].health.method: "GE T": expected up to 32 upper-case letters, such as GET, HEAD or OPTIONS
lb.yaml:17: vips[1].health.status: "2xx": expected status codes and ranges from 100 to 599, such as 200-299,304
lb.yaml:18: vips["203.0.113.11:443/tcp"].health.tls_ca: belongs to https, http2, grpc and tls; this check is http
lb.yaml:19: vips["203.0.113.11:443/tcp"].health.timeout_ms: 3000 is longer than interval_ms, 2000; one probe ends before the next begins
lb.yaml:21: vips[1].reals[0].canary_percent: 0.05 is no share; expected 0.1 to 50, in steps of 0.1
lb.yaml:21: vips["203.0.113.11:443/tcp"].reals["10.0.0.11"].drain_seconds: the real is active; give it the state drain, or leave this out
lb.yaml:22: vips["203.0.113.11:443/tcp"].reals["10.0.0.12"].canary_percent: 60 is out of range; expected 0.1 to 50
lb.yaml:22: vips["203.0.113.11:443/tcp"].reals["10.0.0.12"].canary_percent: the real is a backup, which has no share of its own; leave one of the two out
lb.yaml:24: vips[2].health.expect: "0xz": expected text, or 0x and an even number of hexadecimal digits; bytes that begin with 0x are given in digits too
lb.yaml:24: vips["203.0.113.12:*/udp"].health.send: missing; a check of kind udp sends something, as text or as 0x and hexadecimal digits
lb.yaml:24: vips["203.0.113.12:*/udp"].health.port: missing; the VIP has port *, and a check of kind udp asks one port
lb.yaml:26: vips[3].health.command[1]: expected text, found a list
lb.yaml:26: vips[3].health.via: a program (exec) asks by no tunnel of ours; leave via out
lb.yaml:26: vips["203.0.113.13:53/udp"].health.command: "true": expected a program's absolute path; there is no shell that would search it
lb.yaml:28: vips[4].health.kind: expected none or tcp or http or https or http2 or grpc or udp or dns or tls or icmp or exec, found "ping")");
}

}  // namespace
}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The options of a check as a message, and the times and numbers of the command line.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <catch2/catch.hpp>
#include <cctype>

#include "tools/shuntctl/check_options.h"

namespace shunt::ctl {
namespace {

using Catch::Matchers::Contains;
using Arguments = std::vector<std::string>;

// The options as CLI11 reads them.
std::optional<v1::HealthCheck> Read(Arguments arguments, Words& words) {
  CLI::App app;
  CheckWords given;
  AddCheckOptions(app, given);
  std::ranges::reverse(arguments);  // as CLI11 takes them
  app.parse(arguments);
  return CheckOf(given, words);
}

v1::HealthCheck Good(const Arguments& arguments) {
  Words words;
  const auto check = Read(arguments, words);
  INFO((words.status() ? std::string() : words.status().error().message));
  REQUIRE(words.status());
  REQUIRE(check);
  return *check;
}

std::string Bad(const Arguments& arguments) {
  Words words;
  Read(arguments, words);
  REQUIRE_FALSE(words.status());
  return words.status().error().message;
}

TEST_CASE("Every field of a check has its option", "[shuntctl]") {
  const v1::HealthCheck check = Good({"--check=http2",
                                      "--check-via=direct",
                                      "--check-port=8080",
                                      "--check-interval=2s",
                                      "--check-failing-interval=500ms",
                                      "--check-timeout=250ms",
                                      "--rise=3",
                                      "--fall=4",
                                      "--check-jitter=0",
                                      "--check-initial=up",
                                      "--check-method=HEAD",
                                      "--check-path=/health",
                                      "--check-host=www.example.com",
                                      "--check-status=200,204",
                                      "--check-body=ok",
                                      "--check-tls",
                                      "--check-no-verify",
                                      "--check-tls-name=a",
                                      "--check-tls-ca=/b",
                                      "--check-tls-certificate=/c",
                                      "--check-tls-key=/d",
                                      "--check-grpc-service=e",
                                      "--check-send=0x00",
                                      "--check-expect=f",
                                      "--check-dns-name=g",
                                      "--check-dns-type=aaaa",
                                      "--check-dns-expect=::1",
                                      "--check-command=/bin/test",
                                      "--check-command=-f",
                                      "--check-command=a b",
                                      "--check-user=h"});
  REQUIRE(check.ShortDebugString() ==
          "kind: CHECK_KIND_HTTP2 via: PROBE_VIA_DIRECT port: 8080 interval_ms: 2000 failing_interval_ms: 500 "
          "timeout_ms: 250 rise: 3 fall: 4 jitter_percent: 0 initial: INITIAL_STATE_UP method: \"HEAD\" "
          "path: \"/health\" host: \"www.example.com\" status: \"200,204\" body: \"ok\" tls: true tls_verify: false "
          "tls_name: \"a\" tls_ca: \"/b\" tls_certificate: \"/c\" tls_key: \"/d\" grpc_service: \"e\" send: \"0x00\" "
          "expect: \"f\" dns_name: \"g\" dns_type: DNS_TYPE_AAAA dns_expect: \"::1\" command: \"/bin/test\" "
          "command: \"-f\" command: \"a b\" user: \"h\"");
  for (int i = 0; i < v1::HealthCheck::descriptor()->field_count(); ++i) {
    const auto* field = v1::HealthCheck::descriptor()->field(i);
    INFO(field->name());
    const auto& reflection = *check.GetReflection();
    REQUIRE((field->is_repeated() ? reflection.FieldSize(check, field) > 0 : reflection.HasField(check, field)));
  }
}

TEST_CASE("Every kind of check is said by its name, and default is the check of the defaults", "[shuntctl]") {
  for (int kind = v1::CheckKind_MIN; kind <= v1::CheckKind_MAX; ++kind) {
    std::string name = v1::CheckKind_Name(kind).substr(std::string_view("CHECK_KIND_").size());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const v1::HealthCheck check = Good({"--check=" + (kind == 0 ? "default" : name)});
    REQUIRE(check.has_kind());
    REQUIRE(check.kind() == kind);
  }
}

TEST_CASE("Without an option of the check there is none, and the command takes no other words", "[shuntctl]") {
  Words words;
  REQUIRE_FALSE(Read({}, words));
  CLI::App app;
  CheckWords given;
  std::string vip;
  AddCheckOptions(app, given);
  app.add_option("VIP", vip);
  Arguments arguments = {"--check-command=/bin/true", "203.0.113.10:443/tcp"};
  std::ranges::reverse(arguments);
  app.parse(arguments);
  REQUIRE(given.command == Arguments{"/bin/true"});
  REQUIRE(vip == "203.0.113.10:443/tcp");
}

TEST_CASE("Options of a check that cannot be are told all at once", "[shuntctl]") {
  const std::string message = Bad({"--check=ping", "--check-interval=2", "--check-timeout=9ms", "--rise=0",
                                   "--check-failing-interval=2h", "--check-via=x", "--check-port=0"});
  REQUIRE(std::ranges::count(message, '\n') == 6);
  REQUIRE_THAT(message, Contains("--check \"ping\": expected one of default, none, tcp"));
  REQUIRE_THAT(message,
               Contains("--check-interval \"2\": expected a time with its unit, such as 500ms or 2s, from 100ms"));
  REQUIRE_THAT(message, Contains("--check-timeout \"9ms\": expected a time"));
}

TEST_CASE("Times have a unit and are whole", "[shuntctl]") {
  Words words;
  REQUIRE(words.Milliseconds("--t", "100ms", 100, 3600000) == 100);
  REQUIRE(words.Milliseconds("--t", "1h", 100, 3600000) == 3600000);
  REQUIRE(words.Seconds("--t", "2m", 0, 3600) == 120);
  REQUIRE(words.Seconds("--t", "3000ms", 0, 3600) == 3);
  REQUIRE(words.Seconds("--t", "0s", 0, 3600) == 0);
  REQUIRE(words.Decimal("--x", "0.1", 0.1, 10) == 0.1);
  REQUIRE(words.status());
  for (const char* bad :
       {"", "s", "5", "1.5s", "-1s", "5 s", "5S", "01s", "1500ms", "99999999999999999999s", "2h", "4294967295h"}) {
    Words refused;
    refused.Seconds("--t", bad, 0, 3600);
    INFO(bad);
    REQUIRE_FALSE(refused.status());
  }
  for (const char* bad : {"", "x", "1e1", "0.05", "10.1", "nan", "inf", "1 ", "0x1"}) {
    Words refused;
    refused.Decimal("--x", bad, 0.1, 10);
    INFO(bad);
    REQUIRE_FALSE(refused.status());
  }
}

}  // namespace
}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/model_health_testing.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace shunt {
namespace {

HealthCheck Common(CheckKind kind) {
  return {.kind = kind,
          .via = kind == CheckKind::kExec ? ProbeVia::kDirect : ProbeVia::kTunnel,
          .port = static_cast<uint16_t>(kind == CheckKind::kIcmp || kind == CheckKind::kExec ? 0 : 8080),
          .interval_ms = 1000,
          .failing_interval_ms = 500,
          .timeout_ms = 400,
          .rise = 3,
          .fall = 4,
          .jitter_percent = 20,
          .initially_up = true};
}

void AddHttp(HealthCheck& check) {
  check.via = ProbeVia::kDirect;
  check.method = "OPTIONS";
  check.path = "/health?full=1";
  check.host = "www.example.com:8080";
  check.status = {{200, 204}, {304, 304}};
  check.body = "all \"well\"";
}

void AddTls(HealthCheck& check) {
  check.tls_verify = false;
  check.tls_name = "www.example.com";
  check.tls_ca = "/etc/shunt/ca.pem";
  check.tls_certificate = "/etc/shunt/client.pem";
  check.tls_key = "/etc/shunt/client.key";
}

class Source {
 public:
  explicit Source(std::mt19937& random) : random_(random) {}

  uint32_t Number(uint32_t min, uint32_t max) { return std::uniform_int_distribution<uint32_t>(min, max)(random_); }
  bool Coin() { return Number(0, 1) == 1; }

  std::string Of(std::string_view letters, uint32_t min, uint32_t max) {
    std::string text(Number(min, max), ' ');
    std::ranges::generate(text, [&] { return letters[Number(0, static_cast<uint32_t>(letters.size() - 1))]; });
    return text;
  }
  std::string Bytes(uint32_t min, uint32_t max) {
    std::string bytes(Number(min, max), ' ');
    std::ranges::generate(bytes, [&] { return static_cast<char>(Number(0, 255)); });
    return bytes;
  }
  // Text with what YAML gives a meaning to, control characters, and characters of two to four bytes.
  std::string Text(uint32_t min, uint32_t max) {
    static constexpr std::array<std::string_view, 30> kPieces = {"a",
                                                                 "Z",
                                                                 "0x",
                                                                 " ",
                                                                 "\"",
                                                                 "\\",
                                                                 "'",
                                                                 ":",
                                                                 "#",
                                                                 "- ",
                                                                 "\n",
                                                                 "\t",
                                                                 "\r",
                                                                 "\x01",
                                                                 "\x7f",
                                                                 "{",
                                                                 "}",
                                                                 "[",
                                                                 "]",
                                                                 ",",
                                                                 "null",
                                                                 "true",
                                                                 "\xc3\xbc",
                                                                 "\xc2\x85",
                                                                 "\xe2\x82\xac",
                                                                 "\xf0\x9f\x98\x80",
                                                                 "&",
                                                                 "*",
                                                                 "!",
                                                                 "%"};
    std::string text;
    for (uint32_t i = Number(min, max); i > 0; --i) text += kPieces[Number(0, kPieces.size() - 1)];
    return text;
  }
  std::string Name() {
    std::string name = Of("abcXYZ019_-", 1, 63);
    for (uint32_t i = Number(0, 2); i > 0; --i) name += "." + Of("abcXYZ019_-", 1, 63);
    return name;
  }
  std::string File() { return "/" + Of("abc.-_ /\"\\", 1, 40); }

 private:
  std::mt19937& random_;
};

void AddRandomHttp(Source& source, HealthCheck& check) {
  check.method = source.Of("ABCXYZ", 1, 32);
  check.path = "/" + source.Of("abc%20?&=.\"\\'{}[]:,", 0, 60);
  if (source.Coin()) check.host = source.Name() + (source.Coin() ? ":8080" : "");
  check.status.clear();
  for (uint32_t i = source.Number(1, 4); i > 0; --i) {
    const uint32_t first = source.Number(100, 599);
    check.status.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(source.Number(first, 599))});
  }
  check.body = source.Text(0, 40);
}

void AddRandomTls(Source& source, HealthCheck& check) {
  check.tls_verify = source.Coin();
  if (source.Coin()) check.tls_name = source.Name() + ".example";
  if (source.Coin()) check.tls_ca = source.File();
  if (!source.Coin()) return;
  check.tls_certificate = source.File();
  check.tls_key = source.File();
}

}  // namespace

std::vector<HealthCheck> FullChecks() {
  std::vector<HealthCheck> checks = {{}};
  for (uint8_t i = 1; i <= static_cast<uint8_t>(CheckKind::kExec); ++i) checks.push_back(Common(CheckKind{i}));
  for (HealthCheck& check : checks) {
    const CheckKind kind = check.kind;
    if (kind == CheckKind::kHttp || kind == CheckKind::kHttps || kind == CheckKind::kHttp2) AddHttp(check);
    check.tls = kind == CheckKind::kHttp2 || kind == CheckKind::kGrpc;
    if (check.tls || kind == CheckKind::kHttps || kind == CheckKind::kTls) AddTls(check);
    if (kind == CheckKind::kGrpc) check.grpc_service = "shop.Cart";
    if (kind == CheckKind::kUdp) {
      check.send = std::string("\x00\xff", 2);
      check.expect = "PONG";
    }
    if (kind == CheckKind::kDns) {
      check.dns_name = "www.example.com.";
      check.dns_type = DnsType::kAaaa;
      check.dns_expect = "2001:db8::1";
    }
    if (kind == CheckKind::kExec) {
      check.command = {"/usr/bin/test", "-f", "", "/run/\"ready\""};
      check.user = "shunt";
    }
  }
  return checks;
}

HealthCheck RandomCheck(std::mt19937& random) {
  Source source(random);
  HealthCheck check = Common(CheckKind{static_cast<uint8_t>(source.Number(1, static_cast<uint8_t>(CheckKind::kExec)))});
  const CheckKind kind = check.kind;
  if (kind != CheckKind::kExec) check.via = source.Coin() ? ProbeVia::kTunnel : ProbeVia::kDirect;
  check.interval_ms = source.Number(kMinIntervalMs, kMaxIntervalMs);
  check.failing_interval_ms = source.Coin() ? 0 : source.Number(kMinIntervalMs, kMaxIntervalMs);
  check.timeout_ms = source.Number(kMinTimeoutMs, kMinIntervalMs);
  check.rise = source.Number(1, kMaxRiseFall);
  check.fall = source.Number(1, kMaxRiseFall);
  check.jitter_percent = source.Number(0, kMaxJitterPercent);
  check.initially_up = source.Coin();
  if (kind == CheckKind::kHttp || kind == CheckKind::kHttps || kind == CheckKind::kHttp2) AddRandomHttp(source, check);
  check.tls = (kind == CheckKind::kHttp2 || kind == CheckKind::kGrpc) && source.Coin();
  if (check.tls || kind == CheckKind::kHttps || kind == CheckKind::kTls) AddRandomTls(source, check);
  if (kind == CheckKind::kGrpc) check.grpc_service = source.Text(0, 20);
  if (kind == CheckKind::kUdp) {
    check.send = source.Coin() ? source.Bytes(1, 100) : source.Text(1, 40);
    check.expect = source.Coin() ? source.Bytes(0, 100) : source.Text(0, 40);
  }
  if (kind == CheckKind::kDns) {
    check.dns_name = source.Coin() ? "." : source.Name();
    check.dns_type = DnsType{static_cast<uint8_t>(source.Number(0, 4))};
    if (check.dns_type == DnsType::kA && source.Coin()) check.dns_expect = "192.0.2.1";
  }
  if (kind == CheckKind::kExec) {
    check.command = {source.File()};
    for (uint32_t i = source.Number(0, 32); i > 0; --i) check.command.push_back(source.Text(0, 12));
    check.user = source.Of("abc019", 1, 32);
  }
  return check;
}

}  // namespace shunt

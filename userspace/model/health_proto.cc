// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/health_proto.h"

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/model/enum_proto.h"
#include "userspace/model/health_fields.h"

namespace shunt {
namespace {

using Problems = std::vector<Problem>;

constexpr std::pair<CheckKind, v1::CheckKind> kKinds[] = {
    {CheckKind::kNone, v1::CHECK_KIND_NONE},   {CheckKind::kTcp, v1::CHECK_KIND_TCP},
    {CheckKind::kHttp, v1::CHECK_KIND_HTTP},   {CheckKind::kHttps, v1::CHECK_KIND_HTTPS},
    {CheckKind::kHttp2, v1::CHECK_KIND_HTTP2}, {CheckKind::kGrpc, v1::CHECK_KIND_GRPC},
    {CheckKind::kUdp, v1::CHECK_KIND_UDP},     {CheckKind::kDns, v1::CHECK_KIND_DNS},
    {CheckKind::kTls, v1::CHECK_KIND_TLS},     {CheckKind::kIcmp, v1::CHECK_KIND_ICMP},
    {CheckKind::kExec, v1::CHECK_KIND_EXEC},
};
constexpr std::pair<ProbeVia, v1::ProbeVia> kVias[] = {
    {ProbeVia::kTunnel, v1::PROBE_VIA_TUNNEL},
    {ProbeVia::kDirect, v1::PROBE_VIA_DIRECT},
};
constexpr std::pair<DnsType, v1::DnsType> kDnsTypes[] = {
    {DnsType::kA, v1::DNS_TYPE_A},     {DnsType::kAaaa, v1::DNS_TYPE_AAAA}, {DnsType::kNs, v1::DNS_TYPE_NS},
    {DnsType::kSoa, v1::DNS_TYPE_SOA}, {DnsType::kTxt, v1::DNS_TYPE_TXT},
};
constexpr std::pair<bool, v1::InitialState> kInitialStates[] = {
    {false, v1::INITIAL_STATE_DOWN},
    {true, v1::INITIAL_STATE_UP},
};
constexpr std::pair<PanicAction, v1::PanicAction> kPanicActions[] = {
    {PanicAction::kFailOpen, v1::PANIC_ACTION_FAIL_OPEN},
    {PanicAction::kFailClosed, v1::PANIC_ACTION_FAIL_CLOSED},
    {PanicAction::kWithdraw, v1::PANIC_ACTION_WITHDRAW},
};

// An empty text is the default again.
std::string TextOr(const std::string& text, const std::string& standard) { return text.empty() ? standard : text; }

uint16_t PortFrom(uint32_t port, const std::string& path, Problems& problems) {
  constexpr uint32_t kMaxPort = std::numeric_limits<uint16_t>::max();
  if (port <= kMaxPort) return static_cast<uint16_t>(port);
  problems.push_back({path + ".port", fmt::format("{} is out of range; expected 1 to {}", port, kMaxPort)});
  return 0;
}

std::vector<StatusRange> StatusFrom(const std::string& text, const std::string& path, Problems& problems) {
  std::vector<StatusRange> standard = HealthCheck{}.status;
  if (text.empty()) return standard;
  const auto ranges = ParseStatus(text);
  if (ranges) return *ranges;
  problems.push_back(
      {path + ".status",
       fmt::format("{}: expected status codes and ranges from 100 to 599, such as 200-299,304", Quote(text))});
  return standard;
}

std::string PayloadFrom(const std::string& text, const std::string& path, Problems& problems) {
  const auto bytes = ParsePayload(text);
  if (bytes) return *bytes;
  problems.push_back({path, fmt::format("{}: expected text, or 0x and an even number of hexadecimal digits; bytes that "
                                        "begin with 0x are given in digits too",
                                        Quote(text))});
  return "";
}

void TimesFrom(const v1::HealthCheck& message, HealthCheck& check) {
  if (message.has_interval_ms()) check.interval_ms = message.interval_ms();
  if (message.has_failing_interval_ms()) check.failing_interval_ms = message.failing_interval_ms();
  if (message.has_timeout_ms()) check.timeout_ms = message.timeout_ms();
  if (message.has_rise()) check.rise = message.rise();
  if (message.has_fall()) check.fall = message.fall();
  if (message.has_jitter_percent()) check.jitter_percent = message.jitter_percent();
}

void HttpFrom(const v1::HealthCheck& message, const std::string& path, HealthCheck& check, Problems& problems) {
  const HealthCheck standard;
  if (message.has_method()) check.method = TextOr(message.method(), standard.method);
  if (message.has_path()) check.path = TextOr(message.path(), standard.path);
  if (message.has_host()) check.host = message.host();
  if (message.has_status()) check.status = StatusFrom(message.status(), path, problems);
  if (message.has_body()) check.body = message.body();
}

void TlsFrom(const v1::HealthCheck& message, HealthCheck& check) {
  if (message.has_tls()) check.tls = message.tls();
  if (message.has_tls_verify()) check.tls_verify = message.tls_verify();
  if (message.has_tls_name()) check.tls_name = message.tls_name();
  if (message.has_tls_ca()) check.tls_ca = message.tls_ca();
  if (message.has_tls_certificate()) check.tls_certificate = message.tls_certificate();
  if (message.has_tls_key()) check.tls_key = message.tls_key();
}

void OtherKindsFrom(const v1::HealthCheck& message, const std::string& path, HealthCheck& check, Problems& problems) {
  const HealthCheck standard;
  if (message.has_grpc_service()) check.grpc_service = message.grpc_service();
  if (message.has_send()) check.send = PayloadFrom(message.send(), path + ".send", problems);
  if (message.has_expect()) check.expect = PayloadFrom(message.expect(), path + ".expect", problems);
  if (message.has_dns_name()) check.dns_name = TextOr(message.dns_name(), standard.dns_name);
  if (message.has_dns_type()) {
    check.dns_type = ValueOf(kDnsTypes, message.dns_type(), path + ".dns_type", problems).value_or(standard.dns_type);
  }
  if (message.has_dns_expect()) check.dns_expect = message.dns_expect();
  if (message.command_size() > 0) check.command = {message.command().begin(), message.command().end()};
  if (message.has_user()) check.user = TextOr(message.user(), standard.user);
}

void KindFrom(v1::CheckKind kind, const std::string& path, HealthCheck& check, Problems& problems) {
  const CheckKind before = check.kind;
  check.kind = ValueOf(kKinds, kind, path + ".kind", problems).value_or(CheckKind::kNone);
  if (check.kind == before) return;
  if (before == CheckKind::kExec) check.via = HealthCheck{}.via;
  ResetForeignFields(check);
}

// After all else: a program asks by no tunnel, whatever the default.
void ViaFrom(const v1::HealthCheck& message, const std::string& path, HealthCheck& check, Problems& problems) {
  if (message.has_via()) {
    check.via = ValueOf(kVias, message.via(), path + ".via", problems).value_or(HealthCheck{}.via);
  }
  if (check.kind != CheckKind::kExec) return;
  if (message.via() == v1::PROBE_VIA_TUNNEL) {
    problems.push_back({path + ".via", "a program (exec) asks by no tunnel of ours; leave via out"});
  }
  check.via = ProbeVia::kDirect;
}

// The fields of one group of kinds each, where they differ from `standard`.
void TlsToProto(const HealthCheck& check, const HealthCheck& standard, v1::HealthCheck& message) {
  if (check.tls != standard.tls) message.set_tls(check.tls);
  if (check.tls_verify != standard.tls_verify) message.set_tls_verify(check.tls_verify);
  if (check.tls_name != standard.tls_name) message.set_tls_name(check.tls_name);
  if (check.tls_ca != standard.tls_ca) message.set_tls_ca(check.tls_ca);
  if (check.tls_certificate != standard.tls_certificate) message.set_tls_certificate(check.tls_certificate);
  if (check.tls_key != standard.tls_key) message.set_tls_key(check.tls_key);
}

void OtherKindsToProto(const HealthCheck& check, const HealthCheck& standard, v1::HealthCheck& message) {
  if (check.grpc_service != standard.grpc_service) message.set_grpc_service(check.grpc_service);
  if (check.send != standard.send) message.set_send(PayloadText(check.send));
  if (check.expect != standard.expect) message.set_expect(PayloadText(check.expect));
  if (check.dns_name != standard.dns_name) message.set_dns_name(check.dns_name);
  if (check.dns_type != standard.dns_type) message.set_dns_type(MessageOf(kDnsTypes, check.dns_type));
  if (check.dns_expect != standard.dns_expect) message.set_dns_expect(check.dns_expect);
  for (const std::string& word : check.command) message.add_command(word);
  if (check.user != standard.user) message.set_user(check.user);
}

}  // namespace

v1::CheckKind CheckKindToProto(CheckKind kind) { return MessageOf(kKinds, kind); }
v1::PanicAction PanicActionToProto(PanicAction action) { return MessageOf(kPanicActions, action); }

std::optional<PanicAction> PanicActionFrom(v1::PanicAction value, const std::string& path, Problems& problems) {
  return ValueOf(kPanicActions, value, path, problems);
}

void FromProto(const v1::HealthCheck& message, const std::string& path, HealthCheck& check, Problems& problems) {
  if (message.has_kind()) KindFrom(message.kind(), path, check, problems);
  if (message.has_port()) check.port = PortFrom(message.port(), path, problems);
  TimesFrom(message, check);
  if (message.has_initial()) {
    check.initially_up =
        ValueOf(kInitialStates, message.initial(), path + ".initial", problems).value_or(HealthCheck{}.initially_up);
  }
  HttpFrom(message, path, check, problems);
  TlsFrom(message, check);
  OtherKindsFrom(message, path, check, problems);
  ViaFrom(message, path, check, problems);
}

bool IsDefaultAgain(const v1::HealthCheck& message) {
  return message.has_kind() && message.kind() == v1::CHECK_KIND_UNSPECIFIED;
}

v1::HealthCheck ToProto(const HealthCheck& check) {
  const HealthCheck standard;
  v1::HealthCheck message;
  message.set_kind(CheckKindToProto(check.kind));
  if (check.kind != CheckKind::kExec && check.via != standard.via) message.set_via(MessageOf(kVias, check.via));
  if (check.port != standard.port) message.set_port(check.port);
  if (check.interval_ms != standard.interval_ms) message.set_interval_ms(check.interval_ms);
  if (check.failing_interval_ms != standard.failing_interval_ms) {
    message.set_failing_interval_ms(check.failing_interval_ms);
  }
  if (check.timeout_ms != standard.timeout_ms) message.set_timeout_ms(check.timeout_ms);
  if (check.rise != standard.rise) message.set_rise(check.rise);
  if (check.fall != standard.fall) message.set_fall(check.fall);
  if (check.jitter_percent != standard.jitter_percent) message.set_jitter_percent(check.jitter_percent);
  if (check.initially_up) message.set_initial(v1::INITIAL_STATE_UP);
  if (check.method != standard.method) message.set_method(check.method);
  if (check.path != standard.path) message.set_path(check.path);
  if (check.host != standard.host) message.set_host(check.host);
  if (check.status != standard.status) message.set_status(StatusText(check.status));
  if (check.body != standard.body) message.set_body(check.body);
  TlsToProto(check, standard, message);
  OtherKindsToProto(check, standard, message);
  return message;
}

}  // namespace shunt

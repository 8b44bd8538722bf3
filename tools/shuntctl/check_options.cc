// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/check_options.h"

#include <CLI/CLI.hpp>
#include <iterator>

#include "tools/shuntctl/session.h"
#include "userspace/model/health_check.h"

namespace shunt::ctl {
namespace {

using Check = v1::HealthCheck;

constexpr uint32_t kMaxPort = 65535;

// The positions of the names are the numbers of the enums; `default` is unspecified.
constexpr const char* kKinds = "none|tcp|http|https|http2|grpc|udp|dns|tls|icmp|exec|default";
void SetKind(Words& words, const char* name, const std::string& text, Check& check) {
  const size_t kind = words.Choice(
      name, text, {"default", "none", "tcp", "http", "https", "http2", "grpc", "udp", "dns", "tls", "icmp", "exec"});
  check.set_kind(static_cast<v1::CheckKind>(kind));
}

void SetVia(Words& words, const char* name, const std::string& text, Check& check) {
  const bool tunnel = words.Choice(name, text, {"tunnel", "direct"}) == 0;
  check.set_via(tunnel ? v1::PROBE_VIA_TUNNEL : v1::PROBE_VIA_DIRECT);
}

void SetInitial(Words& words, const char* name, const std::string& text, Check& check) {
  const bool down = words.Choice(name, text, {"down", "up"}) == 0;
  check.set_initial(down ? v1::INITIAL_STATE_DOWN : v1::INITIAL_STATE_UP);
}

void SetDnsType(Words& words, const char* name, const std::string& text, Check& check) {
  constexpr v1::DnsType kTypes[] = {v1::DNS_TYPE_A, v1::DNS_TYPE_AAAA, v1::DNS_TYPE_NS, v1::DNS_TYPE_SOA,
                                    v1::DNS_TYPE_TXT};
  check.set_dns_type(kTypes[words.Choice(name, text, {"a", "aaaa", "ns", "soa", "txt"})]);
}

// In the order of --help.
constexpr ValueOption<Check> kOptions[] = {
    {"--check", kKinds, "how the reals are asked whether they serve; default: as the defaults say", SetKind},
    {"--check-via", "tunnel|direct", "tunnel: to the VIP in the outer header that data gets; direct: to the real",
     SetVia},
    {"--check-port", "N", "the port that is asked; default: the VIP's",
     [](Words& words, const char* name, const std::string& text, Check& check) {
       check.set_port(words.Number(name, text, 1, kMaxPort));
     }},
    {"--check-interval", "TIME", "from one probe to the next, e.g. 2s or 500ms",
     [](Words& words, const char* name, const std::string& text, Check& check) {
       check.set_interval_ms(words.Milliseconds(name, text, kMinIntervalMs, kMaxIntervalMs));
     }},
    {"--check-failing-interval", "TIME", "the same while the real is down, and on the way there if shorter",
     [](Words& words, const char* name, const std::string& text, Check& check) {
       check.set_failing_interval_ms(words.Milliseconds(name, text, kMinIntervalMs, kMaxIntervalMs));
     }},
    {"--check-timeout", "TIME", "an answer that takes longer is none",
     [](Words& words, const char* name, const std::string& text, Check& check) {
       check.set_timeout_ms(words.Milliseconds(name, text, kMinTimeoutMs, kMaxTimeoutMs));
     }},
    {"--rise", "N", "so many passes in a row make a real up",
     [](Words& words, const char* name, const std::string& text, Check& check) {
       check.set_rise(words.Number(name, text, 1, kMaxRiseFall));
     }},
    {"--fall", "N", "so many failures in a row make a real down",
     [](Words& words, const char* name, const std::string& text, Check& check) {
       check.set_fall(words.Number(name, text, 1, kMaxRiseFall));
     }},
    {"--check-jitter", "PERCENT", "intervals are longer or shorter at random by so much at most",
     [](Words& words, const char* name, const std::string& text, Check& check) {
       check.set_jitter_percent(words.Number(name, text, 0, kMaxJitterPercent));
     }},
    {"--check-initial", "down|up", "up: a new real takes traffic before its first pass", SetInitial},
    {"--check-method", "METHOD", "http, https, http2",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_method(text); }},
    {"--check-path", "PATH", "http, https, http2: what is asked for, e.g. /health",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_path(text); }},
    {"--check-host", "HOST", "http, https, http2: the Host header",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_host(text); }},
    {"--check-status", "RANGES", "http, https, http2: the status codes that pass, e.g. 200-299,304",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_status(text); }},
    {"--check-body", "TEXT", "http, https, http2: text that the answer holds",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_body(text); }},
    {"--check-tls-name", "NAME", "TLS: the server name that is sent (SNI) and verified",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_tls_name(text); }},
    {"--check-tls-ca", "FILE", "TLS: the certificates that are trusted; default: the system's",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_tls_ca(text); }},
    {"--check-tls-certificate", "FILE", "TLS: the client's own certificate",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_tls_certificate(text); }},
    {"--check-tls-key", "FILE", "TLS: the key of that certificate",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_tls_key(text); }},
    {"--check-grpc-service", "NAME", "grpc: the service; default: the server as a whole",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_grpc_service(text); }},
    {"--check-send", "BYTES", "udp: text, or 0x and hexadecimal digits",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_send(text); }},
    {"--check-expect", "BYTES", "udp: how the answer begins",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_expect(text); }},
    {"--check-dns-name", "NAME", "dns: what is asked for; default: .",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_dns_name(text); }},
    {"--check-dns-type", "a|aaaa|ns|soa|txt", "dns: default ns", SetDnsType},
    {"--check-dns-expect", "ADDRESS", "dns: an address that the answer holds",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_dns_expect(text); }},
    {"--check-user", "NAME", "exec: who runs the program; default nobody",
     [](Words&, const char*, const std::string& text, Check& check) { check.set_user(text); }},
};

}  // namespace

void AddCheckOptions(CLI::App& verb, CheckWords& words) {
  AddValueOptions(verb, kOptions, words.values);
  AddSwitch(verb, "--check-tls,!--check-no-tls", words.tls, "http2, grpc: over TLS");
  AddSwitch(verb, "--check-verify,!--check-no-verify", words.verify, "TLS: whether the certificate is verified");
  verb.add_option("--check-command", words.command,
                  "exec: the program's absolute path; once more for each argument of it")
      ->type_name("WORD")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
}

std::optional<v1::HealthCheck> CheckOf(const CheckWords& given, Words& words) {
  Check check;
  const bool any =
      SetValues(kOptions, given.values, words, check) || given.tls || given.verify || !given.command.empty();
  if (given.tls) check.set_tls(*given.tls);
  if (given.verify) check.set_tls_verify(*given.verify);
  for (const std::string& word : given.command) check.add_command(word);
  return any ? std::optional(check) : std::nullopt;
}

}  // namespace shunt::ctl

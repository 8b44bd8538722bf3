// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/validate_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "userspace/base/text.h"
#include "userspace/model/health_fields.h"
#include "userspace/net/address.h"

namespace shunt {
namespace {

constexpr std::string_view kMethodCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-";
constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

bool HoldsOnly(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

bool HasControl(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
}

// Labels of 1 to 63 characters, together at most 253 (RFC 1035, 2.3.4).
bool IsDomainName(std::string_view text) {
  constexpr size_t kLongestLabel = 63, kLongestName = 253;
  if (text.empty() || text.size() > kLongestName) return false;
  for (;;) {
    const size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > kLongestLabel || !HoldsOnly(label, kNameCharacters)) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// A name or an address, IPv6 in brackets, and perhaps a port: what may stand in a Host header.
bool IsHost(std::string_view text) {
  const size_t end = text.starts_with('[') ? text.find(']') : text.find(':');
  const size_t colon = text.find(':', text.starts_with('[') ? std::min(end, text.size()) : 0);
  if (colon != std::string_view::npos) {
    const auto port = ParseDecimal(text.substr(colon + 1), 65535);
    if (!port || *port == 0) return false;
  }
  const std::string_view name = text.substr(0, colon);
  if (!name.starts_with('[')) return IsDomainName(name);
  const auto address = name.ends_with(']') ? IpAddress::Parse(name.substr(1, name.size() - 2)) : Result<IpAddress>();
  return name.ends_with(']') && address && address->family() == Family::kIpv6;
}

// One check and where its problems go.
class Validator {
 public:
  Validator(const HealthCheck& check, const std::string& path, std::vector<Problem>& problems)
      : check_(check), path_(path), problems_(problems) {}

  void Run() {
    if (check_.kind == CheckKind::kNone) return CheckNone();
    CheckTimes();
    CheckForeignFields();
    if (Has("method")) CheckHttp();
    if (Has("tls_name")) CheckTls();
    if (Has("grpc_service")) CheckText("grpc_service", check_.grpc_service);
    if (Has("send")) CheckUdp();
    if (Has("dns_name")) CheckDns();
    if (Has("command")) CheckExec();
  }

 private:
  void Add(std::string_view field, std::string message) {
    problems_.push_back({fmt::format("{}.{}", path_, field), std::move(message)});
  }
  bool Has(std::string_view field) const {
    const auto found = std::ranges::find(CheckFields(), field, &CheckField::name);
    return found != CheckFields().end() && found->BelongsTo(check_.kind);
  }
  void CheckNumber(std::string_view field, uint32_t value, uint32_t min, uint32_t max) {
    if (value < min || value > max) Add(field, fmt::format("{} is out of range; expected {} to {}", value, min, max));
  }

  void CheckNone() {
    std::string fields;
    for (const CheckField& field : CheckFields()) {
      if (!field.is_default(check_)) fields += fmt::format("{}{}", fields.empty() ? "" : ", ", field.name);
    }
    if (!fields.empty()) Add("kind", fmt::format("none has no {}; give a kind, such as tcp or http", fields));
  }

  void CheckTimes() {
    CheckNumber("interval_ms", check_.interval_ms, kMinIntervalMs, kMaxIntervalMs);
    if (check_.failing_interval_ms != 0) {
      CheckNumber("failing_interval_ms", check_.failing_interval_ms, kMinIntervalMs, kMaxIntervalMs);
    }
    CheckNumber("timeout_ms", check_.timeout_ms, kMinTimeoutMs, kMaxTimeoutMs);
    const auto within = [&](std::string_view name, uint32_t interval_ms) {
      if (check_.timeout_ms <= interval_ms) return;
      Add("timeout_ms", fmt::format("{} is longer than {}, {}; one probe ends before the next begins",
                                    check_.timeout_ms, name, interval_ms));
    };
    within("interval_ms", check_.interval_ms);
    if (check_.failing_interval_ms != 0) within("failing_interval_ms", check_.failing_interval_ms);
    CheckNumber("rise", check_.rise, 1, kMaxRiseFall);
    CheckNumber("fall", check_.fall, 1, kMaxRiseFall);
    CheckNumber("jitter_percent", check_.jitter_percent, 0, kMaxJitterPercent);
  }

  void CheckForeignFields() {
    for (const CheckField& field : CheckFields()) {
      if (field.BelongsTo(check_.kind) || field.is_default(check_)) continue;
      if (field.name == "via") continue;  // a program's is always direct
      Add(field.name, fmt::format("belongs to {}; this check is {}", field.KindsText(), ToString(check_.kind)));
    }
  }

  void CheckText(std::string_view field, std::string_view text) {
    if (text.size() > kMaxTextBytes) {
      Add(field, fmt::format("{} bytes are too many; expected at most {}", text.size(), kMaxTextBytes));
    } else if (!IsUtf8(text)) {
      Add(field, fmt::format("{}: expected UTF-8 text", Quote(text)));
    }
  }

  void CheckFile(std::string_view field, std::string_view path) {
    if (path.empty()) return;
    CheckText(field, path);
    if (!path.starts_with('/') || HasControl(path)) {
      Add(field, fmt::format("{}: expected an absolute path, such as /etc/shunt/ca.pem", Quote(path)));
    }
  }

  void CheckHttp() {
    constexpr size_t kLongestMethod = 32;
    const std::string& method = check_.method;
    const bool sized = !method.empty() && method.size() <= kLongestMethod;
    if (!sized || method.front() == '-' || !HoldsOnly(method, kMethodCharacters)) {
      Add("method", fmt::format("{}: expected up to {} upper-case letters, such as GET, HEAD or OPTIONS", Quote(method),
                                kLongestMethod));
    } else if (method == "CONNECT") {
      Add("method", "CONNECT asks for no page; expected GET, HEAD, OPTIONS or the like");
    }
    CheckText("path", check_.path);
    const auto visible = [](char c) { return c > ' ' && c < 0x7f && c != '#'; };
    if (!check_.path.starts_with('/') || !std::ranges::all_of(check_.path, visible)) {
      Add("path", fmt::format("{}: expected / and visible ASCII characters but #; write others as %20 and so on",
                              Quote(check_.path)));
    }
    if (!check_.host.empty() && !IsHost(check_.host)) {
      Add("host", fmt::format("{}: expected a name or an address, perhaps with a port, such as www.example.com:8080",
                              Quote(check_.host)));
    }
    CheckStatus();
    CheckText("body", check_.body);
    if (method == "HEAD" && !check_.body.empty()) Add("body", "an answer to HEAD has none; ask with GET");
  }

  void CheckStatus() {
    const auto possible = [](const StatusRange& range) {
      return range.first >= 100 && range.first <= range.last && range.last <= 599;
    };
    if (check_.status.empty()) Add("status", "empty; expected status codes and ranges, such as 200-299,304");
    for (const StatusRange& range : check_.status) {
      if (possible(range)) continue;
      Add("status", fmt::format("{} is no range of status codes; expected some from 100 to 599", StatusText({range})));
    }
  }

  void CheckTls() {
    const bool asked = check_.tls || !Has("tls");
    for (const CheckField& field : CheckFields()) {
      if (asked || !field.name.starts_with("tls_") || field.is_default(check_)) continue;
      Add(field.name,
          fmt::format("a check of kind {} has TLS only with tls: true; give that too", ToString(check_.kind)));
    }
    if (!check_.tls_name.empty() && (!IsDomainName(check_.tls_name) || IpAddress::Parse(check_.tls_name))) {
      Add("tls_name", fmt::format("{}: expected a name, such as www.example.com; an address is none (RFC 6066, 3)",
                                  Quote(check_.tls_name)));
    }
    CheckFile("tls_ca", check_.tls_ca);
    CheckFile("tls_certificate", check_.tls_certificate);
    CheckFile("tls_key", check_.tls_key);
    if (check_.tls_certificate.empty() != check_.tls_key.empty()) {
      const bool lacks_key = check_.tls_key.empty();
      Add(lacks_key ? "tls_key" : "tls_certificate",
          fmt::format("missing; {} needs it", lacks_key ? "tls_certificate" : "tls_key"));
    }
  }

  void CheckUdp() {
    if (check_.send.empty()) {
      Add("send", "missing; a check of kind udp sends something, as text or as 0x and hexadecimal digits");
    }
    const auto check_size = [&](std::string_view field, const std::string& bytes) {
      if (bytes.size() <= kMaxUdpPayloadBytes) return;
      Add(field,
          fmt::format("{} bytes are too many for a datagram; expected at most {}", bytes.size(), kMaxUdpPayloadBytes));
    };
    check_size("send", check_.send);
    check_size("expect", check_.expect);
  }

  void CheckDns() {
    std::string_view name = check_.dns_name;
    if (name.ends_with('.')) name.remove_suffix(1);
    if (check_.dns_name != "." && !IsDomainName(name)) {
      Add("dns_name",
          fmt::format("{}: expected a domain name: labels of up to 63 letters, digits, - and _, together at "
                      "most 253; or . for the root",
                      Quote(check_.dns_name)));
    }
    if (check_.dns_expect.empty()) return;
    const auto address = IpAddress::Parse(check_.dns_expect);
    if (!address) return Add("dns_expect", address.error().message);
    if (check_.dns_type != DnsType::kA && check_.dns_type != DnsType::kAaaa) {
      return Add("dns_expect", fmt::format("an answer of type {} holds no address; give dns_type: a or aaaa",
                                           ToString(check_.dns_type)));
    }
    const bool ipv4 = check_.dns_type == DnsType::kA;
    if ((address->family() == Family::kIpv4) != ipv4) {
      Add("dns_expect", fmt::format("{} is an {} address, which no answer of type {} holds", check_.dns_expect,
                                    ipv4 ? "IPv6" : "IPv4", ToString(check_.dns_type)));
    }
  }

  void CheckExec() {
    const auto& words = check_.command;
    if (words.empty()) {
      Add("command", "missing; expected a program's absolute path, and its arguments");
    } else if (!words.front().starts_with('/')) {
      Add("command", fmt::format("{}: expected a program's absolute path; there is no shell that would search it",
                                 Quote(words.front())));
    }
    if (words.size() > kMaxCommandWords) {
      Add("command",
          fmt::format("{} arguments are too many; expected at most {}", words.size() - 1, kMaxCommandWords - 1));
    }
    size_t bytes = 0;
    for (const std::string& word : words) bytes += word.size() + 1;
    if (bytes > kMaxTextBytes) {
      Add("command", fmt::format("{} bytes are too many; expected at most {}", bytes, kMaxTextBytes));
    }
    for (const std::string& word : words) {
      if (word.contains('\0') || !IsUtf8(word)) {
        Add("command", fmt::format("{}: expected UTF-8 text without zero bytes", Quote(word)));
      }
    }
    constexpr size_t kLongestUser = 32;
    const std::string& user = check_.user;
    const bool name = !user.empty() && user.size() <= kLongestUser && user.front() != '-';
    if (!name || !HoldsOnly(user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")) {
      Add("user",
          fmt::format("{}: expected a user's name, up to {} letters, digits, -, _ and .", Quote(user), kLongestUser));
    }
  }

  const HealthCheck& check_;
  const std::string& path_;
  std::vector<Problem>& problems_;
};

}  // namespace

void ValidateCheck(const HealthCheck& check, const std::string& path, std::vector<Problem>& problems) {
  Validator(check, path, problems).Run();
}

bool LacksPort(const HealthCheck& check, const VipKey& key) {
  if (key.port != 0 || check.port != 0) return false;
  const auto port = std::ranges::find(CheckFields(), "port", &CheckField::name);
  return port != CheckFields().end() && port->BelongsTo(check.kind);
}

}  // namespace shunt

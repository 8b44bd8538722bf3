// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/health_fields.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "userspace/base/text.h"

namespace shunt {
namespace {

constexpr std::array<std::string_view, 11> kKindNames = {"none", "tcp", "http", "https", "http2", "grpc",
                                                         "udp",  "dns", "tls",  "icmp",  "exec"};
constexpr uint32_t kKinds = static_cast<uint32_t>(CheckKind::kExec) + 1;

constexpr uint32_t Bit(CheckKind kind) { return 1u << static_cast<uint32_t>(kind); }
constexpr uint32_t kAny = (1u << kKinds) - 1 - Bit(CheckKind::kNone);
constexpr uint32_t kWithPort = kAny & ~Bit(CheckKind::kIcmp) & ~Bit(CheckKind::kExec);
constexpr uint32_t kHttp = Bit(CheckKind::kHttp) | Bit(CheckKind::kHttps) | Bit(CheckKind::kHttp2);
constexpr uint32_t kTlsIfAsked = Bit(CheckKind::kHttp2) | Bit(CheckKind::kGrpc);
constexpr uint32_t kTls = Bit(CheckKind::kHttps) | Bit(CheckKind::kTls) | kTlsIfAsked;
constexpr uint32_t kUdp = Bit(CheckKind::kUdp);
constexpr uint32_t kDns = Bit(CheckKind::kDns);
constexpr uint32_t kExec = Bit(CheckKind::kExec);

std::string Text(ProbeVia via) { return std::string(ToString(via)); }
std::string Text(DnsType type) { return std::string(ToString(type)); }
std::string Text(bool yes) { return yes ? "true" : "false"; }
std::string Text(uint16_t number) { return std::to_string(number); }
std::string Text(uint32_t number) { return std::to_string(number); }
std::string Text(const std::string& text) { return Quote(text); }
std::string Text(const std::vector<StatusRange>& ranges) { return StatusText(ranges); }
std::string Text(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + Quote(word);
  return "[" + text + "]";
}

template <auto kMember>
constexpr CheckField Field(std::string_view name, uint32_t kinds) {
  return {.name = name,
          .kinds = kinds,
          .equal = [](const HealthCheck& one, const HealthCheck& other) { return one.*kMember == other.*kMember; },
          .reset = [](HealthCheck& check) { check.*kMember = HealthCheck{}.*kMember; },
          .text = [](const HealthCheck& check) { return Text(check.*kMember); }};
}

// The same with a text of its own.
template <auto kMember>
constexpr CheckField Field(std::string_view name, uint32_t kinds, std::string (*text)(const HealthCheck&)) {
  CheckField field = Field<kMember>(name, kinds);
  field.text = text;
  return field;
}

constexpr CheckField kFields[] = {
    // A program asks as it likes; that it goes by no tunnel is no setting.
    Field<&HealthCheck::via>("via", kAny & ~kExec),
    Field<&HealthCheck::port>("port", kWithPort),
    Field<&HealthCheck::interval_ms>("interval_ms", kAny),
    Field<&HealthCheck::failing_interval_ms>("failing_interval_ms", kAny),
    Field<&HealthCheck::timeout_ms>("timeout_ms", kAny),
    Field<&HealthCheck::rise>("rise", kAny),
    Field<&HealthCheck::fall>("fall", kAny),
    Field<&HealthCheck::jitter_percent>("jitter_percent", kAny),
    Field<&HealthCheck::initially_up>(
        "initial", kAny, [](const HealthCheck& check) { return std::string(check.initially_up ? "up" : "down"); }),
    Field<&HealthCheck::method>("method", kHttp),
    Field<&HealthCheck::path>("path", kHttp),
    Field<&HealthCheck::host>("host", kHttp),
    Field<&HealthCheck::status>("status", kHttp),
    Field<&HealthCheck::body>("body", kHttp),
    Field<&HealthCheck::tls>("tls", kTlsIfAsked),
    Field<&HealthCheck::tls_verify>("tls_verify", kTls),
    Field<&HealthCheck::tls_name>("tls_name", kTls),
    Field<&HealthCheck::tls_ca>("tls_ca", kTls),
    Field<&HealthCheck::tls_certificate>("tls_certificate", kTls),
    Field<&HealthCheck::tls_key>("tls_key", kTls),
    Field<&HealthCheck::grpc_service>("grpc_service", Bit(CheckKind::kGrpc)),
    Field<&HealthCheck::send>("send", kUdp, [](const HealthCheck& check) { return Quote(PayloadText(check.send)); }),
    Field<&HealthCheck::expect>("expect", kUdp,
                                [](const HealthCheck& check) { return Quote(PayloadText(check.expect)); }),
    Field<&HealthCheck::dns_name>("dns_name", kDns),
    Field<&HealthCheck::dns_type>("dns_type", kDns),
    Field<&HealthCheck::dns_expect>("dns_expect", kDns),
    Field<&HealthCheck::command>("command", kExec),
    Field<&HealthCheck::user>("user", kExec),
};

// The bytes of the character that begins here; 0 if none does (RFC 3629).
size_t CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  const uint8_t second = byte(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second > 0x9f;
  const bool beyond = first == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : bytes;
}

// Whether text says these bytes exactly and visibly, without control characters (C0, DEL, C1), and is not taken for
// digits.
bool IsPlainText(std::string_view bytes) {
  if (!IsUtf8(bytes) || bytes.starts_with("0x")) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (byte < 0x20 || byte == 0x7f) return false;
    if (byte == 0xc2 && static_cast<uint8_t>(bytes[i + 1]) < 0xa0) return false;
  }
  return true;
}

std::optional<StatusRange> ParseRange(std::string_view text) {
  constexpr uint32_t kMin = 100, kMax = 599;
  const size_t dash = text.find('-');
  const auto first = ParseDecimal(text.substr(0, dash), kMax);
  const auto last = dash == std::string_view::npos ? first : ParseDecimal(text.substr(dash + 1), kMax);
  if (!first || !last || *first < kMin || *last < *first) return std::nullopt;
  return StatusRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

}  // namespace

std::string_view ToString(CheckKind kind) { return kKindNames[static_cast<size_t>(kind)]; }
std::string_view ToString(ProbeVia via) { return via == ProbeVia::kTunnel ? "tunnel" : "direct"; }

std::string_view ToString(DnsType type) {
  constexpr std::array<std::string_view, 5> kNames = {"a", "aaaa", "ns", "soa", "txt"};
  return kNames[static_cast<size_t>(type)];
}

std::string_view ToString(PanicAction action) {
  constexpr std::array<std::string_view, 3> kNames = {"fail_open", "fail_closed", "withdraw"};
  return kNames[static_cast<size_t>(action)];
}

std::string StatusText(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const auto& [first, last] : ranges) {
    text += fmt::format("{}{}", text.empty() ? "" : ",", first);
    if (last != first) text += fmt::format("-{}", last);
  }
  return text;
}

std::optional<std::vector<StatusRange>> ParseStatus(std::string_view text) {
  std::vector<StatusRange> ranges;
  for (;;) {
    const size_t comma = text.find(',');
    const auto range = ParseRange(text.substr(0, comma));
    if (!range) return std::nullopt;
    ranges.push_back(*range);
    if (comma == std::string_view::npos) return ranges;
    text.remove_prefix(comma + 1);
  }
}

std::string PayloadText(const std::string& bytes) {
  if (IsPlainText(bytes)) return bytes;
  std::string text = "0x";
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

std::optional<std::string> ParsePayload(std::string_view text) {
  if (!text.starts_with("0x")) return std::string(text);
  const std::string_view digits = text.substr(2);
  if (digits.empty() || digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    uint8_t byte = 0;
    const char* const end = digits.data() + i + 2;
    const auto [stop, error] = std::from_chars(digits.data() + i, end, byte, 16);
    if (error != std::errc() || stop != end) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string CheckField::KindsText() const {
  std::string list;
  uint32_t left = kinds;
  for (uint32_t kind = 0; kind < kKinds; ++kind) {
    if ((left >> kind & 1) == 0) continue;
    left &= ~(1u << kind);
    list += fmt::format("{}{}", list.empty() ? "" : left == 0 ? " and " : ", ", kKindNames[kind]);
  }
  return list;
}

std::span<const CheckField> CheckFields() { return kFields; }

std::string Summary(const HealthCheck& check) {
  std::string details;
  for (const CheckField& field : kFields) {
    if (field.is_default(check) || !field.BelongsTo(check.kind)) continue;
    details += fmt::format("{}{} {}", details.empty() ? "" : ", ", field.name, field.text(check));
  }
  return fmt::format("{}{}", ToString(check.kind), details.empty() ? "" : fmt::format(" ({})", details));
}

void ResetForeignFields(HealthCheck& check) {
  for (const CheckField& field : kFields) {
    if (!field.BelongsTo(check.kind)) field.reset(check);
  }
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The fields of a health check as a table: name, the kinds of check that have it, whether it says anything, its value
// as text. What the conversion, the validation and the differences share, so that a field is described once. Pure.
// Not here: which values are possible (validate_health.cc).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/model/desired_state.h"
#include "userspace/model/health_check.h"

namespace shunt {

// As the store writes them.
std::string_view ToString(CheckKind kind);
std::string_view ToString(ProbeVia via);
std::string_view ToString(DnsType type);
std::string_view ToString(PanicAction action);

// "200-299,304"; nothing if the text is none, or names what is no status.
std::string StatusText(const std::vector<StatusRange>& ranges);
std::optional<std::vector<StatusRange>> ParseStatus(std::string_view text);

// Bytes as text if that is what they are, else "0x" and hexadecimal digits; nothing if digits are missing or wrong.
std::string PayloadText(const std::string& bytes);
std::optional<std::string> ParsePayload(std::string_view text);

bool IsUtf8(std::string_view text);

struct CheckField {
  std::string_view name;  // in the store
  uint32_t kinds;         // bit 1 << kind
  bool (*equal)(const HealthCheck& one, const HealthCheck& other);
  void (*reset)(HealthCheck& check);
  std::string (*text)(const HealthCheck& check);  // for people: what is very long is cut

  bool is_default(const HealthCheck& check) const { return equal(check, {}); }
  bool BelongsTo(CheckKind kind) const { return (kinds >> static_cast<uint32_t>(kind) & 1) != 0; }
  std::string KindsText() const;  // "http, https and http2"
};
std::span<const CheckField> CheckFields();  // all but `kind`, in the order of the store

// `http (path "/health", interval_ms 500)`: the kind, and what differs from its defaults.
std::string Summary(const HealthCheck& check);

// Takes out of a check what its kind does not have.
void ResetForeignFields(HealthCheck& check);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/text.h"

#include <algorithm>
#include <charconv>

namespace shunt {
namespace {

constexpr size_t kLongestQuote = 80;

}  // namespace

std::string Quote(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char character : text.substr(0, kLongestQuote)) {
    const auto byte = static_cast<uint8_t>(character);
    if (character == '"' || character == '\\') {
      quoted += '\\';
      quoted += character;
    } else if (byte < 0x20 || byte >= 0x7f) {
      quoted += "\\x";
      quoted += kHex[byte >> 4];
      quoted += kHex[byte & 0xf];
    } else {
      quoted += character;
    }
  }
  quoted += text.size() > kLongestQuote ? "...\"" : "\"";
  return quoted;
}

std::optional<uint32_t> ParseDecimal(std::string_view text, uint32_t max) {
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (text.empty() || !digits || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

}  // namespace shunt

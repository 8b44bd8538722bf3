// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/mac.h"

#include <fmt/format.h>

#include <charconv>

#include "userspace/base/text.h"

namespace shunt {
namespace {

// Two hexadecimal digits of either case, nothing else.
bool ParseByte(std::string_view digits, uint8_t& byte) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  return digits.size() == 2 && error == std::errc() && end == digits.data() + digits.size();
}

}  // namespace

Result<MacAddress> MacAddress::Parse(std::string_view text) {
  constexpr size_t kTextLength = 17;
  MacAddress mac;
  bool good = text.size() == kTextLength;
  for (size_t i = 0; good && i < mac.bytes.size(); ++i) {
    good = ParseByte(text.substr(3 * i, 2), mac.bytes[i]) && (i == 0 || text[3 * i - 1] == ':');
  }
  if (good) return mac;
  return Fail(
      ErrorKind::kInvalid,
      fmt::format("MAC address {}: expected six pairs of hexadecimal digits, e.g. 02:00:00:00:00:01", Quote(text)));
}

std::string MacAddress::ToString() const { return fmt::format("{:02x}", fmt::join(bytes, ":")); }

}  // namespace shunt

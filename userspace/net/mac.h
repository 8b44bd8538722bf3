// SPDX-License-Identifier: Apache-2.0
// MacAddress: a plain value.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "userspace/base/result.h"

namespace shunt {

struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  static Result<MacAddress> Parse(std::string_view text);  // "02:00:00:00:00:01"
  std::string ToString() const;
  auto operator<=>(const MacAddress&) const = default;
};

}  // namespace shunt

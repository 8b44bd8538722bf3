// SPDX-License-Identifier: Apache-2.0
// Small helpers for text that people typed: quoting it in messages, reading whole numbers strictly. Pure.
// Not here: what a piece of text means (net/, model/).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shunt {

// The text in double quotes, fit for a message: one line of printable ASCII, cut when it is very long.
std::string Quote(std::string_view text);

// Decimal digits only: no sign, no space, no leading zero (some programs read those as octal), at most `max`.
std::optional<uint32_t> ParseDecimal(std::string_view text, uint32_t max);

}  // namespace shunt

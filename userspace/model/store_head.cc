// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/store_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>

namespace shunt {
namespace {

constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";

// Control characters would end the line, or the reader's terminal.
std::string OneLine(std::string_view value) {
  std::string line(value.substr(0, kMaxHeadValueBytes));
  if (line.size() < value.size()) {
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0) == 0x80) line.pop_back();
    if (!line.empty() && (static_cast<unsigned char>(line.back()) & 0x80) != 0) line.pop_back();  // a cut character
    line += "…";
  }
  std::ranges::replace_if(line, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  return line;
}

int Digits(std::string_view text, size_t first, size_t count) {
  int number = 0;
  for (const char digit : text.substr(first, count)) number = number * 10 + (digit - '0');
  return number;
}

}  // namespace

WallTime WallNow() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

std::string ToText(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int(date.year()), unsigned(date.month()),
                     unsigned(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::optional<WallTime> ParseWallTime(std::string_view text) {
  if (text.size() != kForm.size()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    if (kForm[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != kForm[i]) return std::nullopt;
  }
  const std::chrono::year_month_day date(std::chrono::year(Digits(text, 0, 4)),
                                         std::chrono::month(static_cast<unsigned>(Digits(text, 5, 2))),
                                         std::chrono::day(static_cast<unsigned>(Digits(text, 8, 2))));
  const int hours = Digits(text, 11, 2);
  const int minutes = Digits(text, 14, 2);
  const int seconds = Digits(text, 17, 2);
  if (!date.ok() || date.year() < std::chrono::year(1970) || hours > 23 || minutes > 59 || seconds > 59) {
    return std::nullopt;
  }
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
         std::chrono::seconds(seconds);
}

StoreHead::StoreHead(std::string_view sentence) : text_(fmt::format("# {}\n", sentence)) {}

void StoreHead::Add(std::string_view key, std::string_view value) {
  text_ += fmt::format("# {}: {}\n", key, OneLine(value));
}

std::map<std::string, std::string, std::less<>> ReadStoreHead(std::string_view text) {
  std::map<std::string, std::string, std::less<>> keys;
  text = text.substr(0, kMaxHeadBytes);
  while (text.starts_with("# ")) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(2, end - 2);
    text.remove_prefix(end + 1);
    const size_t colon = line.find(": ");
    if (colon != std::string_view::npos) keys.emplace(line.substr(0, colon), OneLine(line.substr(colon + 2)));
  }
  return keys;
}

std::optional<uint64_t> ReadNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace shunt

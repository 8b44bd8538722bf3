// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace shunt::ctl {
namespace {

constexpr size_t kGap = 2;  // blanks between columns

std::string_view Code(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kDim:
      return "\033[2m";
    case Style::kBold:
      return "\033[1m";
    case Style::kGood:
      return "\033[32m";
    case Style::kBad:
      return "\033[31m";
  }
  return "";
}

// Characters, for a terminal shows each of ours in one column; in UTF-8 only the first byte of one is no 10xxxxxx.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; }));
}

}  // namespace

std::string Styled(std::string_view text, Style style, bool colour) {
  if (!colour || style == Style::kPlain || text.empty()) return std::string(text);
  return fmt::format("{}{}\033[0m", Code(style), text);
}

std::string Grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t digits = 3; digits < text.size(); digits += 4) text.insert(text.size() - digits, 1, ',');
  return text;
}

std::string Percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Table::Render(bool colour) const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(Width(column.title));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i].text));
  }
  std::string out;
  const auto add_line = [&](const std::vector<Cell>& row) {
    std::string line(indent_, ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - Width(row[i].text), ' ');
      const bool right = columns_[i].align == Align::kRight;
      line += (right ? blanks : "") + Styled(row[i].text, row[i].style, colour) + (right ? "" : blanks);
      line.append(kGap, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title, Style::kDim);
  add_line(titles);
  for (const auto& row : rows_) add_line(row);
  return out;
}

}  // namespace shunt::ctl

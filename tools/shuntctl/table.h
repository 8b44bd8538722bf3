// SPDX-License-Identifier: Apache-2.0
// Tables for people: aligned columns, colour where asked for. Pure. Not here: what stands in them (format.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shunt::ctl {

enum class Style : uint8_t { kPlain, kDim, kBold, kGood, kBad };

std::string Styled(std::string_view text, Style style, bool colour);

std::string Grouped(uint64_t number);                // 1,234,567
std::string Percent(uint64_t part, uint64_t whole);  // "33.3 %"; "-" of nothing

class Table {
 public:
  enum class Align : uint8_t { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  struct Cell {
    Cell(std::string text_in) : text(std::move(text_in)) {}  // NOLINT: cells are texts
    Cell(const char* text_in) : text(text_in) {}             // NOLINT
    Cell(std::string text_in, Style style_in) : text(std::move(text_in)), style(style_in) {}
    std::string text;
    Style style = Style::kPlain;
  };

  explicit Table(std::vector<Column> columns, size_t indent = 0) : columns_(std::move(columns)), indent_(indent) {}
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // The titles and the rows, each with its newline; no blanks at the ends of lines.
  std::string Render(bool colour) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
  size_t indent_;
};

}  // namespace shunt::ctl

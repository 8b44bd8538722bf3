// SPDX-License-Identifier: Apache-2.0
// What a benchmark found: rows of samples, as a table for people and as JSON. Pure, but for Progress.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/shunt-bench/machine.h"

namespace shunt::bench {

double Median(std::vector<double> samples);  // 0 of none

struct Target {
  enum class Bound : uint8_t { kAtMost, kAtLeast };
  Bound bound = Bound::kAtMost;
  double limit = 0;
};

// One measure, once per round.
struct Row {
  std::string name;
  std::string unit = {};  // "x": a ratio
  std::vector<double> samples = {};
  std::optional<Target> target = {};

  double Min() const;
  double Median() const { return bench::Median(samples); }
  double Max() const;
  // Of the median; unset without a target.
  std::optional<bool> MeetsTarget() const;
};

// Points of a drawing: what a measure is at several sizes.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points = {};
};

struct Report {
  std::string verb;
  Machine machine;
  std::vector<Row> rows = {};
  std::vector<Curve> curves = {};
};

// Round by round, a ÷ b.
std::vector<double> Ratios(const std::vector<double>& a, const std::vector<double>& b);

std::string FormatReport(const Report& report, bool colour);
nlohmann::ordered_json ToJson(const Report& report);

// One line on stderr, overwritten by the next; only on a terminal. Gone with the object.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void Show(std::string_view line) const;

 private:
  bool terminal_;
};

}  // namespace shunt::bench

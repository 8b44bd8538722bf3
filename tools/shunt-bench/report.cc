// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tools/shuntctl/table.h"

namespace shunt::bench {
namespace {

using ctl::Style;
using ctl::Table;

std::string Number(double value, std::string_view unit) {
  if (unit == "x") return fmt::format("{:.2f}", value);
  if (value >= 1000) return ctl::Grouped(static_cast<uint64_t>(std::llround(value)));
  return value < 10 && value != static_cast<uint64_t>(value) ? fmt::format("{:.2f}", value)
                                                             : fmt::format("{:.1f}", value);
}

Table::Cell TargetCell(const Row& row) {
  if (!row.target) return "";
  const bool at_most = row.target->bound == Target::Bound::kAtMost;
  return {fmt::format("{} {:g}", at_most ? "≤" : "≥", row.target->limit),
          *row.MeetsTarget() ? Style::kGood : Style::kBad};
}

}  // namespace

double Median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::ranges::sort(samples);
  const size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

double Row::Min() const { return samples.empty() ? 0 : *std::ranges::min_element(samples); }
double Row::Max() const { return samples.empty() ? 0 : *std::ranges::max_element(samples); }

std::optional<bool> Row::MeetsTarget() const {
  if (!target) return std::nullopt;
  return target->bound == Target::Bound::kAtMost ? Median() <= target->limit : Median() >= target->limit;
}

std::vector<double> Ratios(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) ratios.push_back(b[i] == 0 ? 0 : a[i] / b[i]);
  return ratios;
}

std::string FormatReport(const Report& report, bool colour) {
  using enum Table::Align;
  Table table({{"measure"}, {"min", kRight}, {"median", kRight}, {"max", kRight}, {"unit"}, {"target"}, {"met"}});
  for (const Row& row : report.rows) {
    const auto met = row.MeetsTarget();
    table.Add({row.name,
               Number(row.Min(), row.unit),
               {Number(row.Median(), row.unit), Style::kBold},
               Number(row.Max(), row.unit),
               row.unit,
               TargetCell(row),
               !met   ? ""
               : *met ? "yes"
                      : "no"});
  }
  const Machine& machine = report.machine;
  return fmt::format("shunt-bench {} on {}, {} CPUs, Linux {}, BPF JIT {}; spectre v2: {}\n\n{}", report.verb,
                     machine.cpu, machine.cpus, machine.kernel, machine.jit, machine.spectre_v2, table.Render(colour));
}

nlohmann::ordered_json ToJson(const Report& report) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Row& row : report.rows) {
    nlohmann::ordered_json json = {{"name", row.name},       {"unit", row.unit}, {"min", row.Min()},
                                   {"median", row.Median()}, {"max", row.Max()}, {"samples", row.samples}};
    if (row.target) {
      json["target"] = {{row.target->bound == Target::Bound::kAtMost ? "at_most" : "at_least", row.target->limit}};
      json["met"] = *row.MeetsTarget();
    }
    rows.push_back(std::move(json));
  }
  const Machine& machine = report.machine;
  return {{"verb", report.verb},
          {"machine",
           {{"cpu", machine.cpu},
            {"cpus", machine.cpus},
            {"kernel", machine.kernel},
            {"jit", machine.jit},
            {"spectre_v2", machine.spectre_v2}}},
          {"rows", std::move(rows)}};
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Show(""); }

void Progress::Show(std::string_view line) const {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
}

}  // namespace shunt::bench

// SPDX-License-Identifier: Apache-2.0
// shunt-bench prog: nanoseconds per packet of the program alone, case by case, in rounds that take turns. The packets
// and tables of the cases stand in prog_cases.cc.
#include <fmt/format.h>

#include <functional>
#include <map>

#include "tools/shunt-bench/prog_cases.h"
#include "userspace/base/text.h"
#include "userspace/bpf/test_run.h"

namespace shunt::bench {
namespace {

constexpr uint32_t kQuickTurns = 25;
constexpr uint32_t kTurns = 60;

// Programs of others, measured with the packets of the first case.
Result<std::vector<ProgramCase>> CasesOf(const std::vector<uint32_t>& program_ids, std::vector<UniqueFd>& fds) {
  std::vector<ProgramCase> cases;
  for (const uint32_t id : program_ids) {
    auto fd = OpenProgramById(id);
    if (!fd) return std::unexpected(fd.error());
    cases.push_back({.name = fmt::format("program {}", id), .load = EstablishedTcp(1), .program_fd = fd->get()});
    fds.push_back(std::move(*fd));
  }
  return cases;
}

Status MeasureRounds(Wrapper& wrapper, const Options& options, const std::vector<ProgramCase>& cases,
                     std::vector<Row>& rows) {
  const Progress progress;
  for (const ProgramCase& one : cases) rows.push_back({.name = one.name, .unit = "ns", .target = one.target});
  for (uint32_t round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < cases.size(); ++i) {
      progress.Show(fmt::format("round {} of {}: {}", round + 1, options.rounds, cases[i].name));
      if (auto set = wrapper.SetSubject(cases[i].program_fd); !set) return set;
      const auto net_ns = wrapper.NetNs(cases[i].load, options.quick ? kQuickTurns : kTurns);
      if (!net_ns) return std::unexpected(net_ns.error());
      rows[i].samples.push_back(*net_ns);
    }
  }
  return {};
}

std::vector<Row> RatioRows(const std::vector<ProgramRatio>& ratios, const std::vector<Row>& rows) {
  std::map<std::string, const Row*> by_name;
  for (const Row& row : rows) by_name[row.name] = &row;
  std::vector<Row> found;
  for (const ProgramRatio& ratio : ratios) {
    if (!by_name.contains(ratio.of) || !by_name.contains(ratio.to)) continue;  // --only
    const Row* of = by_name.at(ratio.of);
    const Row* to = by_name.at(ratio.to);
    found.push_back({.name = fmt::format("{} ÷ {}", ratio.of, ratio.to),
                     .unit = "x",
                     .samples = Ratios(of->samples, to->samples),
                     .target = Target{Target::Bound::kAtMost, ratio.at_most}});
  }
  return found;
}

std::vector<Curve> CurvesOf(const std::vector<ProgramCase>& cases, const std::vector<Row>& rows) {
  std::vector<Curve> curves;
  for (size_t i = 0; i < cases.size(); ++i) {
    if (cases[i].curve.empty()) continue;
    if (curves.empty() || curves.back().name != cases[i].curve) curves.push_back({.name = cases[i].curve});
    curves.back().points.emplace_back(static_cast<double>(cases[i].load.flows), rows[i].Median());
  }
  return curves;
}

}  // namespace

Result<Report> MeasurePrograms(const Options& options) {
  auto wrapper = Wrapper::Open();
  if (!wrapper) return std::unexpected(wrapper.error());
  auto setup = SetUpPrograms(*wrapper, options);
  if (!setup) return std::unexpected(setup.error());
  std::vector<UniqueFd> others;
  auto more = CasesOf(options.program_ids, others);
  if (!more) return std::unexpected(more.error());
  std::vector<ProgramCase> cases = std::move(setup->cases);
  std::ranges::move(*more, std::back_inserter(cases));

  std::erase_if(cases, [&options](const ProgramCase& one) { return !one.name.contains(options.only); });
  if (cases.empty())
    return Fail(ErrorKind::kInvalid, fmt::format("--only {}: no case has that name", Quote(options.only)));

  Report report{.verb = "prog", .machine = options.machine};
  auto measured = MeasureRounds(*wrapper, options, cases, report.rows);
  if (!measured) return std::unexpected(measured.error());
  std::ranges::move(RatioRows(setup->ratios, report.rows), std::back_inserter(report.rows));
  auto memory = MeasureMemory(*wrapper, *setup);
  if (!memory) return std::unexpected(memory.error());
  std::ranges::move(*memory, std::back_inserter(report.rows));
  report.curves = CurvesOf(cases, report.rows);
  return report;
}

}  // namespace shunt::bench

// SPDX-License-Identifier: Apache-2.0
// shunt-bench: the command line. What the verbs measure stands in their own files.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tools/shunt-bench/options.h"
#include "tools/shunt-bench/plot.h"

namespace shunt::bench {
namespace {

constexpr uint32_t kMaxRounds = 1000;
constexpr uint32_t kRounds = 9;
constexpr uint32_t kQuickRounds = 3;

struct Verb {
  const char* name;
  const char* description;
  Result<Report> (*measure)(const Options&);
};

// In the order of --help.
constexpr Verb kVerbs[] = {
    {"prog", "Nanoseconds per packet of the program alone, by BPF_PROG_TEST_RUN", MeasurePrograms},
    {"wire", "Packets per second through a veth pair in native mode", MeasureWire},
    {"control", "Milliseconds of the control plane: rings, changes, and until packets follow", MeasureControl},
    {"consistency", "Flows sent to another real while the first still serves, in scripted histories",
     MeasureConsistency},
};

constexpr const char* kFooter = R"(Everything is measured beside reference programs, in rounds that take turns; each
figure is the smallest, the median and the largest of the rounds. Needs root. Touches nothing of a running shuntd.

Examples:
  shunt-bench prog --quick
  shunt-bench prog --plot=cost.svg
  shunt-bench -o json wire | jq '.rows[] | {name, median}'

Exit status: 0 done, whatever the targets say; 1 failed; 2 misuse.
)";

bool StdoutHasColour() {
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

Status Run(const Verb& verb, Options& options) {
  if (options.rounds == 0) options.rounds = options.quick ? kQuickRounds : kRounds;
  options.machine = ThisMachine();  // before: part of it is seen in the first network namespace alone
  if (auto left = LeaveNetwork(); !left) return left;
  if (auto taken = TakeCpu(options.cpu, CpuUse::kClock); !taken) return taken;
  const auto report = verb.measure(options);
  if (!report) return std::unexpected(report.error());
  if (!options.plot.empty()) {
    std::ofstream file(options.plot);
    file << DrawSvg("Cost of a packet by the number of flows", "ns", report->curves) << std::flush;
    if (!file) return FailErrno(fmt::format("writing the drawing {}", options.plot), errno);
  }
  const std::string text = options.json ? ToJson(*report).dump(2) + '\n' : FormatReport(*report, StdoutHasColour());
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return FailErrno("writing the output", errno);
  return {};
}

int Main(int argc, char** argv) {
  Options options;
  std::string output = "table";
  CLI::App app("Measures what a Shunt balancer costs, and whether it keeps flows whole.", "shunt-bench");
  app.set_version_flag("--version", "shunt-bench " SHUNT_VERSION);
  app.fallthrough();
  app.footer(kFooter);
  app.add_option("-o,--output", output, "how to print: table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("table|json");
  app.add_flag("--quick", options.quick, "fewer and shorter rounds: two minutes at most");
  app.add_option("--rounds", options.rounds, fmt::format("rounds ({}; {} with --quick)", kRounds, kQuickRounds))
      ->check(CLI::Range(1u, kMaxRounds))
      ->type_name("N");
  app.add_option("--cpu", options.cpu, "the CPU that measures (0)")->type_name("N");
  app.require_subcommand(1);
  const Verb* chosen = nullptr;
  for (const Verb& verb : kVerbs) {
    CLI::App* added = app.add_subcommand(verb.name, verb.description);
    added->callback([&chosen, &verb] { chosen = &verb; });
    if (verb.measure == MeasurePrograms || verb.measure == MeasureConsistency) {
      added->add_option("--only", options.only, "only what has this in its name")->type_name("TEXT");
    }
    if (verb.measure != MeasurePrograms) continue;
    added->add_option("--plot", options.plot, "draw cost against flows into this SVG file")->type_name("FILE");
    added->add_option("--program", options.program_ids, "measure this XDP program, too (see bpftool prog)")
        ->type_name("ID")
        ->allow_extra_args(false);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.json = output == "json";
  const Status done = Run(*chosen, options);
  if (!done) fmt::print(stderr, "shunt-bench {}: {}\n", chosen->name, done.error().message);
  if (done) return 0;
  return done.error().kind == ErrorKind::kInvalid ? 2 : 1;
}

}  // namespace
}  // namespace shunt::bench

int main(int argc, char** argv) { return shunt::bench::Main(argc, argv); }

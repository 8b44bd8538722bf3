// SPDX-License-Identifier: Apache-2.0
// The cases of `shunt-bench prog`: which packets go through which program, the instances they meet, and how cases are
// held against one another. Not here: measuring (prog.cc).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/shunt-bench/instance.h"
#include "tools/shunt-bench/options.h"
#include "tools/shunt-bench/wrapper.h"

namespace shunt::bench {

struct ProgramCase {
  std::string name;
  Load load;
  int program_fd = -1;
  std::optional<Target> target = {};
  std::string curve = {};  // of the drawing that this is a point of; neighbours of one name are one curve
};

// A case's time by another's, of the same round.
struct ProgramRatio {
  std::string of, to;
  double at_most = 0;
};

struct ProgramSetup {
  std::unique_ptr<Instance> few;      // VIPs of all kinds, rings stable, tracking moving
  std::unique_ptr<Instance> all;      // tracking all, with a table for twice the flows
  std::unique_ptr<Instance> many;     // a thousand VIPs
  std::unique_ptr<Instance> changed;  // a tenth of the slots moves, every flow of them is remembered
  std::unique_ptr<Instance> flooded;  // the same, with what shuntd allows a flood
  std::vector<ProgramCase> cases;
  std::vector<ProgramRatio> ratios;
};

Load EstablishedTcp(uint64_t flows);

// The wrapper fills flow tables and lends its reference programs.
Result<ProgramSetup> SetUpPrograms(Wrapper& wrapper, const Options& options);

// What the maps of `few` take before and after ten million flows, and how many of the flows are remembered.
Result<std::vector<Row>> MeasureMemory(Wrapper& wrapper, ProgramSetup& setup);

}  // namespace shunt::bench

// SPDX-License-Identifier: Apache-2.0
// What the command line says, for every verb. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/shunt-bench/report.h"
#include "userspace/base/result.h"

namespace shunt::bench {

struct Options {
  Machine machine;
  bool json = false;
  uint32_t rounds = 0;
  uint32_t cpu = 0;  // that measures
  bool quick = false;
  std::string only;                   // prog, consistency: measures whose names contain this; empty: all
  std::string plot;                   // prog: file of the drawing; empty: none
  std::vector<uint32_t> program_ids;  // prog: XDP programs of others, measured beside
};

Result<Report> MeasurePrograms(const Options& options);     // prog.cc
Result<Report> MeasureWire(const Options& options);         // wire.cc
Result<Report> MeasureControl(const Options& options);      // control.cc
Result<Report> MeasureConsistency(const Options& options);  // consistency.cc

}  // namespace shunt::bench

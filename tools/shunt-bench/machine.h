// SPDX-License-Identifier: Apache-2.0
// What a figure was measured on, and the CPU that measures. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "userspace/base/result.h"

namespace shunt::bench {

struct Machine {
  std::string cpu;
  uint32_t cpus = 0;
  std::string kernel;
  std::string jit;         // of BPF: "on", "off" or "unknown"
  std::string spectre_v2;  // how the kernel guards indirect jumps, in its own words
};

Machine ThisMachine();

// This thread runs on that CPU from now on, ahead of all ordinary ones, so that whatever else goes on there disturbs
// less.
Status TakeCpu(uint32_t cpu);

}  // namespace shunt::bench

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

// This thread, and those it starts, are in a network namespace of their own from now on; gone with the process. So
// nothing that is attached or sent meets anybody else.
Status LeaveNetwork();

enum class CpuUse {
  kOrdinary,  // as everything else; the kernel's own threads get their share
  kLoad,      // before all that is ordinary
  kClock,     // before load, too
};
// A thread (0: this one) runs on that CPU from now on.
Status TakeCpu(uint32_t cpu, CpuUse use, pid_t thread = 0);

}  // namespace shunt::bench

// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

namespace shunt::bench {
namespace {

// The first line of a file that begins so, without that beginning; empty if there is none.
std::string FirstLine(const std::string& path, const std::string& beginning = {}) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(beginning)) return line.substr(beginning.size());
  }
  return {};
}

std::string CpuName() {
  const std::string line = FirstLine("/proc/cpuinfo", "model name");
  const size_t name = line.find_first_not_of("\t :");
  return name == std::string::npos ? "unknown" : line.substr(name);
}

std::string JitState() {
  const std::string enabled = FirstLine("/proc/sys/net/core/bpf_jit_enable");
  if (enabled.empty()) return "unknown";
  return enabled == "0" ? "off" : "on";
}

}  // namespace

Machine ThisMachine() {
  utsname names{};
  uname(&names);
  return {.cpu = CpuName(),
          .cpus = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN)),
          .kernel = fmt::format("{} {}", names.release, names.machine),
          .jit = JitState(),
          .spectre_v2 = FirstLine("/sys/devices/system/cpu/vulnerabilities/spectre_v2")};
}

Status LeaveNetwork() {
  if (unshare(CLONE_NEWNET) == 0) return {};
  return FailErrno("making a network namespace (are you root?)", errno);
}

Status TakeCpu(uint32_t cpu, CpuUse use, pid_t thread) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  const sched_param parameters{.sched_priority = static_cast<int>(use)};
  if (sched_setaffinity(thread, sizeof(set), &set) != 0) return FailErrno(fmt::format("moving to CPU {}", cpu), errno);
  const int policy = use == CpuUse::kOrdinary ? SCHED_OTHER : SCHED_FIFO;
  if (sched_setscheduler(thread, policy, &parameters) == 0) return {};
  return FailErrno("setting the priority of a thread", errno);
}

}  // namespace shunt::bench

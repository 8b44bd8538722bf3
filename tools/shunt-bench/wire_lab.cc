// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/wire_lab.h"

#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tools/shunt-bench/machine.h"

namespace shunt::bench {
namespace {

constexpr const char* kOutside = "wire-outside";

// Unlike the outer end's, this name must be nobody else's: the kernel's threads of all namespaces are called by it.
std::string InsideName() { return fmt::format("wire{}", getpid()); }

// /sys/class/net shows the namespace that it was mounted in.
Status MountSys() {
  if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      mount("sysfs", "/sys", "sysfs", 0, nullptr) == 0) {
    return {};
  }
  return FailErrno("mounting a /sys of our own", errno);
}

Status Shell(const std::string& command) {
  if (std::system(command.c_str()) == 0) return {};
  return Fail(ErrorKind::kSystem, fmt::format("making a pair of veths: this failed: {}", command));
}

// The thread that receives at an interface in threaded mode; 0: none.
pid_t ReceiverOf(const std::string& interface) {
  const std::string beginning = "napi/" + interface + "-";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    std::ifstream file(entry.path() / "comm");
    std::string name;
    if (std::getline(file, name) && name.starts_with(beginning)) return std::atoi(entry.path().filename().c_str());
  }
  return 0;
}

}  // namespace

Result<WireLab> WireLab::Make(uint32_t generator_cpu, uint32_t receiver_cpu) {
  if (auto mounted = MountSys(); !mounted) return std::unexpected(mounted.error());
  const std::string inside = InsideName();
  if (auto made = Shell(fmt::format("ip link add {0} type veth peer name {1} && ip link set {0} up && ip link set {1} "
                                    "mtu 1600 up",
                                    kOutside, inside));
      !made) {
    return std::unexpected(made.error());
  }
  WireLab lab;
  lab.outside_ifindex_ = if_nametoindex(kOutside);
  lab.inside_ifindex_ = if_nametoindex(inside.c_str());
  lab.generator_cpu_ = generator_cpu;
  lab.receiver_cpu_ = receiver_cpu;
  return lab;
}

Status WireLab::MoveReceiver() const {
  const std::string inside = InsideName();
  const std::string path = fmt::format("/sys/class/net/{}/threaded", inside);
  std::ofstream threaded(path);
  threaded << 1 << std::flush;
  if (!threaded) return FailErrno(fmt::format("giving {} a receiving thread, by {}", inside, path), errno);
  const pid_t receiver = ReceiverOf(inside);
  if (receiver == 0) return Fail(ErrorKind::kNotFound, fmt::format("looking for the receiving thread of {}", inside));
  return TakeCpu(receiver_cpu_, CpuUse::kLoad, receiver);
}

}  // namespace shunt::bench

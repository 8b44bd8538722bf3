// SPDX-License-Identifier: Apache-2.0
#include "userspace/daemon/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gflags/gflags.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/dataplane/default_capacities.h"
#include "userspace/health/child_process.h"
#include "userspace/model/store_history.h"

namespace GFLAGS_NAMESPACE {
extern void (*gflags_exitfunc)(int);  // exported, but in no public header
}

DEFINE_string(interfaces, "",
              "interfaces whose packets are balanced: names, separated by commas, e.g. eth0,eth1; required");
DEFINE_string(store, "/etc/shunt/shunt.yaml",
              "path of the file that keeps VIPs and reals; made if it is missing; see shunt.yaml(5)");
DEFINE_uint32(store_history, shunt::kDefaultKeptGenerations,
              "older generations of the store that are kept, in the folder STORE.history; 0 to 10000");
DEFINE_string(socket, "/run/shunt/shuntd.sock", "path of the Unix socket that shuntctl talks to");
DEFINE_string(bpffs, "/sys/fs/bpf",
              "path of a mounted bpffs; what forwards without shuntd is pinned in its folder shunt");
DEFINE_string(
    xdp_mode, "auto",
    "where the program runs: native (in the driver), generic (in the kernel's stack, slower), or auto (native, "
    "and generic where the driver has no XDP)");
DEFINE_uint32(max_vips, shunt::DefaultCapacities().max_vips,
              "VIPs, counted by address, port and protocol; 1 to 1048576");
DEFINE_uint32(max_reals, shunt::DefaultCapacities().max_reals,
              "entries of the real table, of which a VIP with n reals takes the next power of two above n, at least 4; "
              "4 to 16777216");
DEFINE_uint32(max_flows, shunt::DefaultCapacities().max_flows,
              "flows that can be remembered, 43 to 85 bytes of kernel memory each; 1 to 134217728");
DEFINE_string(metrics_listen, "",
              "IPv4 address and port that Prometheus scrapes, e.g. 127.0.0.1:9871; everybody who reaches it may read; "
              "empty: no metrics");
DEFINE_uint32(probe_sockets, 4096,
              "health probes under way at once, each of which has a socket; what is due beyond that waits; 1 to 65536");
DEFINE_string(
    event_hook, "",
    "absolute path of a program that is run for each event (a real comes up, goes down, …): its arguments are the "
    "kind, the VIP, the real and the interface, and its standard input the event as a line of JSON; one at a time, for "
    "10 s at "
    "most; empty: none");
DEFINE_string(event_hook_user, "nobody", "name of the user who runs --event_hook");
DEFINE_uint32(
    announce_table, 0,
    "number of a routing table of the kernel, of shuntd's own, in which it keeps a route for each prefix that "
    "is to be announced, for a BGP speaker; e.g. 83; 1 to 4294967295, but for 253 to 255; 0: none");
DEFINE_uint32(announce_protocol, 83,
              "protocol number of these routes, by which shuntd knows its own; 5 to 255, and no other program's");
DEFINE_uint32(graceful_seconds, 0,
              "how long a host that drains or leaves asks others to take over (metric 2000 and more) before its routes "
              "are withdrawn; 0 to 3600");
DEFINE_uint32(leave_seconds, 0,
              "how long a shuntd that is stopped waits for traffic to move to other hosts, after it has said that its "
              "VIPs are not to be announced; it ends as soon as none comes any more; 0 to 3600");
DEFINE_bool(detach_on_exit, false,
            "true: take the program off the interfaces at the end; false: it goes on forwarding without shuntd");

namespace shunt {
namespace {

constexpr int kMisuse = 2;
constexpr uint32_t kMaxVips = 1u << 20;
constexpr uint32_t kMinReals = 4;
constexpr uint32_t kMaxReals = 1u << 24;
constexpr uint32_t kMaxFlows = 1u << 27;
constexpr uint32_t kMaxProbeSockets = 1u << 16;
constexpr uint32_t kMaxLeaveSeconds = 3600;
constexpr std::chrono::seconds kWithdrawSeconds{5};            // to remove the routes, when the time for it has come
constexpr uint32_t kFirstOfKernel = 253, kLastOfKernel = 255;  // tables: default, main and local
constexpr uint32_t kMinProtocol = 5, kMaxProtocol = 255;       // below: the kernel's own, and ip(8)'s

constexpr std::string_view kUsage =
    "balances packets for VIPs over reals, in XDP.\n\n"
    "  shuntd --interfaces=eth0\n\n"
    "VIPs and reals are added with shuntctl.";

using Problems = std::vector<std::string>;

bool IsSet(const char* flag) { return gflags::GetCommandLineFlagInfoOrDie(flag).current_value == "true"; }

// gflags' own --help also lists every flag of every library.
void AnswerHelp(const char* program) {
  if (IsSet("help") || IsSet("helpshort") || IsSet("helpfull")) {
    gflags::ShowUsageWithFlagsRestrict(program, "daemon/flags");
    std::exit(EXIT_SUCCESS);
  }
  gflags::HandleCommandLineHelpFlags();  // --version and the rest
}

std::vector<std::string> SplitInterfaces(std::string_view text, Problems& problems) {
  std::vector<std::string> names;
  if (text.empty()) {
    problems.emplace_back("--interfaces: none given; expected e.g. --interfaces=eth0");
    return names;
  }
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(',', start), text.size());
    std::string name(text.substr(start, end - start));
    start = end + 1;
    const bool readable = std::ranges::none_of(name, [](char c) { return c == '/' || c <= ' ' || c == '\x7f'; });
    if (name.empty() || name.size() >= IF_NAMESIZE || !readable) {
      problems.push_back(
          fmt::format("--interfaces: {} is no interface name; expected 1 to {} characters, names separated "
                      "by commas",
                      Quote(name), IF_NAMESIZE - 1));
    } else if (std::ranges::find(names, name) != names.end()) {
      problems.push_back(fmt::format("--interfaces: {} stands there twice", Quote(name)));
    } else {
      names.push_back(std::move(name));
    }
  }
  return names;
}

XdpMode ReadXdpMode(std::string_view text, Problems& problems) {
  if (text == "native") return XdpMode::kNative;
  if (text == "generic") return XdpMode::kGeneric;
  if (text != "auto") {
    problems.push_back(fmt::format("--xdp_mode: {} is unknown; expected auto, native or generic", Quote(text)));
  }
  return XdpMode::kAuto;
}

uint32_t InRange(const char* flag, uint32_t value, uint32_t min, uint32_t max, Problems& problems) {
  if (value < min || value > max) {
    problems.push_back(fmt::format("--{}: {} is out of range; expected {} to {}", flag, value, min, max));
  }
  return value;
}

std::string NonEmpty(const char* flag, const std::string& value, Problems& problems) {
  if (value.empty()) problems.push_back(fmt::format("--{}: expected a path", flag));
  return value;
}

std::optional<Endpoint> ReadMetricsListen(std::string_view text, Problems& problems) {
  if (text.empty()) return std::nullopt;
  const auto listen = Endpoint::Parse(text);
  if (listen && listen->port != 0 && listen->address.family() == Family::kIpv4) return *listen;
  problems.push_back(fmt::format(
      "--metrics_listen: {}: expected an IPv4 address and a port from 1 to 65535, e.g. 127.0.0.1:9871", Quote(text)));
  return std::nullopt;
}

std::optional<HookOptions> ReadEventHook(const std::string& program, const std::string& user, Problems& problems) {
  if (program.empty()) return std::nullopt;
  struct stat status{};
  if (program.front() != '/') {
    problems.push_back(fmt::format("--event_hook: {}: expected an absolute path", Quote(program)));
  } else if (stat(program.c_str(), &status) != 0) {
    problems.push_back(fmt::format("--event_hook: {}: {}", Quote(program), std::strerror(errno)));
  } else if (!S_ISREG(status.st_mode) || access(program.c_str(), X_OK) != 0) {
    problems.push_back(fmt::format("--event_hook: {} is no program: expected an executable file", Quote(program)));
  }
  if (const auto known = LookUpUser(user); !known) {
    problems.push_back(fmt::format("--event_hook_user: {}", known.error().message));
  }
  HookOptions options;
  options.program = program;
  options.user = user;
  return options;
}

AnnounceOptions ReadAnnounceFlags(Problems& problems) {
  AnnounceOptions options;
  options.table = FLAGS_announce_table;
  if (options.table >= kFirstOfKernel && options.table <= kLastOfKernel) {
    problems.push_back(
        fmt::format("--announce_table: {} is a table that the kernel forwards by; expected another number, e.g. 83",
                    options.table));
  }
  options.protocol =
      static_cast<uint8_t>(InRange("announce_protocol", FLAGS_announce_protocol, kMinProtocol, kMaxProtocol, problems));
  options.graceful =
      std::chrono::seconds(InRange("graceful_seconds", FLAGS_graceful_seconds, 0, kMaxLeaveSeconds, problems));
  return options;
}

}  // namespace

Result<DaemonOptions> ParseFlags(int argc, char** argv) {
  gflags::SetUsageMessage(std::string(kUsage));
  gflags::SetVersionString(SHUNT_VERSION);
  GFLAGS_NAMESPACE::gflags_exitfunc = [](int status) { std::exit(status == 0 ? 0 : kMisuse); };
  gflags::ParseCommandLineNonHelpFlags(&argc, &argv, true);
  AnswerHelp(argv[0]);

  Problems problems;
  for (int i = 1; i < argc; ++i) problems.push_back(fmt::format("{}: shuntd takes only flags", Quote(argv[i])));
  DaemonOptions options;
  KernelDataplaneOptions& dataplane = options.dataplane;
  dataplane.interfaces = SplitInterfaces(FLAGS_interfaces, problems);
  dataplane.bpffs = NonEmpty("bpffs", FLAGS_bpffs, problems);
  dataplane.xdp_mode = ReadXdpMode(FLAGS_xdp_mode, problems);
  dataplane.capacities.max_vips = InRange("max_vips", FLAGS_max_vips, 1, kMaxVips, problems);
  dataplane.capacities.max_reals = InRange("max_reals", FLAGS_max_reals, kMinReals, kMaxReals, problems);
  dataplane.capacities.max_flows = InRange("max_flows", FLAGS_max_flows, 1, kMaxFlows, problems);
  options.store = NonEmpty("store", FLAGS_store, problems);
  options.store_history = InRange("store_history", FLAGS_store_history, 0, kMaxKeptGenerations, problems);
  options.socket = NonEmpty("socket", FLAGS_socket, problems);
  options.metrics_listen = ReadMetricsListen(FLAGS_metrics_listen, problems);
  options.probe_sockets = InRange("probe_sockets", FLAGS_probe_sockets, 1, kMaxProbeSockets, problems);
  options.event_hook = ReadEventHook(FLAGS_event_hook, FLAGS_event_hook_user, problems);
  options.announce = ReadAnnounceFlags(problems);
  options.leave.withdraw_limit = options.announce.graceful + kWithdrawSeconds;
  options.leave.traffic_limit =
      std::chrono::seconds(InRange("leave_seconds", FLAGS_leave_seconds, 0, kMaxLeaveSeconds, problems));
  options.detach_on_exit = FLAGS_detach_on_exit;
  options.access = ReadAccessFlags(options.event_hook, problems);
  if (problems.empty()) return options;
  return Fail(ErrorKind::kInvalid, fmt::format("{}\nshuntd --help lists the flags", fmt::join(problems, "\n")));
}

}  // namespace shunt

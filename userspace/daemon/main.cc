// SPDX-License-Identifier: Apache-2.0
// shuntd. Only wires: flags, data plane, next hops, controller, interfaces, health checks, event hook, API, metrics, in
// this order and back, after traffic has left (leaving.h).
// Exit status: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 flags that make no sense.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glog/logging.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/control/controller.h"
#include "userspace/daemon/flags.h"
#include "userspace/daemon/interface_watch.h"
#include "userspace/daemon/leaving.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/health/checker.h"
#include "userspace/health/hook.h"
#include "userspace/metrics/exporter.h"
#include "userspace/net/next_hop_resolver.h"
#include "userspace/rpc/server.h"

namespace shunt {
namespace {

void PrintProblems(std::string_view text) {
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    fmt::print(stderr, "shuntd: {}\n", text.substr(start, end - start));
    start = end + 1;
  }
}

// Probes and their kept connections have a descriptor each.
void RaiseDescriptorLimit(const DaemonOptions& options) {
  constexpr rlim_t kOthers = 1024;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= options.probe_sockets + kOthers) return;
  LOG(WARNING) << fmt::format(
      "only {} descriptors may be open, too few for {} probes at once; raise the limit (ulimit -n, LimitNOFILE=) or "
      "lower "
      "--probe_sockets",
      limit.rlim_cur, options.probe_sockets);
}

void LogReady(const DaemonOptions& options, const InterfaceReport& report, const Snapshot& snapshot) {
  std::vector<std::string> interfaces;
  for (const InterfaceStatus& interface : report) {
    const char* how = !interface.attached ? "not yet" : interface.native ? "native" : "generic";
    interfaces.push_back(fmt::format("{} ({})", interface.name, how));
    if (interface.attached && !interface.native && options.dataplane.xdp_mode == XdpMode::kAuto) {
      LOG(WARNING) << interface.name << ": the driver has no XDP, so the program runs in generic mode, slower";
    }
  }
  size_t reals = 0;
  for (const auto& [key, vip] : snapshot.desired.vips) reals += vip.reals.size();
  LOG(INFO) << fmt::format("ready: interfaces {}; {} VIPs, {} reals; socket {}{}", fmt::join(interfaces, ", "),
                           snapshot.desired.vips.size(), reals, options.socket,
                           options.metrics_listen ? "; metrics on " + options.metrics_listen->ToString() : "");
}

// SIGHUP. What is wrong with the store is told, and changes nothing.
void Reload(Controller& controller) {
  const auto report = controller.Reload({.by = "SIGHUP"});
  if (!report) {
    LOG(ERROR) << "reloading the store, nothing changed: " << report.error().message;
    return;
  }
  LOG(INFO) << "reloaded the store: "
            << (report->changes.empty() ? "no changes" : fmt::format("{}", fmt::join(report->changes, "; ")));
  for (const std::string& warning : report->warnings) LOG(WARNING) << warning;
}

Status Serve(const DaemonOptions& options) {
  auto dataplane = KernelDataplane::Open(options.dataplane);
  if (!dataplane) return std::unexpected(dataplane.error());
  auto next_hops = NextHopResolver::Create();
  if (!next_hops) return std::unexpected(next_hops.error());
  auto controller = Controller::Start(options.store, **dataplane, **next_hops, options.store_history);
  if (!controller) return std::unexpected(controller.error());
  if (const auto attached = (*dataplane)->Attach(); !attached) return std::unexpected(attached.error());
  auto interfaces = InterfaceWatch::Start(options.dataplane.interfaces, **controller, **dataplane);
  if (!interfaces) return std::unexpected(interfaces.error());
  auto checker = Checker::Start(**controller, {.max_in_flight = options.probe_sockets,
                                               .open_tunnel = [&](std::span<const uint32_t> interface_indices) {
                                                 return (*dataplane)->OpenProbeTunnel(interface_indices);
                                               }});
  if (!checker) return std::unexpected(checker.error());
  std::unique_ptr<Hook> hook;
  if (options.event_hook) {
    auto started = Hook::Start((*controller)->events(), *options.event_hook);
    if (!started) return std::unexpected(started.error());
    hook = std::move(*started);
  }
  auto server = Server::Start(options.socket, **controller, **dataplane);
  if (!server) return std::unexpected(server.error());
  std::unique_ptr<Exporter> exporter;
  if (options.metrics_listen) {
    auto started = Exporter::Start(*options.metrics_listen, SHUNT_VERSION, **controller, **dataplane);
    if (!started) return std::unexpected(started.error());
    exporter = std::move(*started);
  }

  LogReady(options, (*controller)->interfaces(), *(*controller)->snapshot());
  (*controller)->Ready();
  AwaitStopSignal([&] { Reload(**controller); });
  Leave(options.leave, **controller, **dataplane, hook.get());

  (*controller)->events().Close();  // ends what the server streams, and the hook
  exporter.reset();
  server->reset();
  hook.reset();
  checker->reset();
  interfaces->reset();
  controller->reset();
  return options.detach_on_exit ? (*dataplane)->Detach() : Status{};
}

}  // namespace
}  // namespace shunt

int main(int argc, char** argv) {
  constexpr int kMisuse = 2;
  FLAGS_logtostderr = true;
  const auto options = shunt::ParseFlags(argc, argv);
  if (!options) {
    shunt::PrintProblems(options.error().message);
    return kMisuse;
  }
  google::InitGoogleLogging(argv[0]);
  shunt::BlockSignals();
  signal(SIGPIPE, SIG_IGN);  // a peer that hangs up is an error of one probe or call
  shunt::RaiseDescriptorLimit(*options);
  const auto served = shunt::Serve(*options);
  if (!served) shunt::PrintProblems(served.error().message);
  return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

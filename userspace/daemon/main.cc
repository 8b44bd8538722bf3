// SPDX-License-Identifier: Apache-2.0
// shuntd. Only wires: flags, data plane, next hops, controller, interfaces, health checks, event hook, announcing,
// metrics, API, in this order and back, after traffic has left (leaving.h); in between it gives up what rights it no
// longer needs.
// Exit status: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 flags that make no sense.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glog/logging.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "userspace/base/unique_fd.h"
#include "userspace/bgp/announcer.h"
#include "userspace/control/controller.h"
#include "userspace/daemon/flags.h"
#include "userspace/daemon/interface_watch.h"
#include "userspace/daemon/leaving.h"
#include "userspace/daemon/privileges.h"
#include "userspace/daemon/service_manager.h"
#include "userspace/daemon/system_calls.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/health/checker.h"
#include "userspace/health/hook.h"
#include "userspace/health/program_starter.h"
#include "userspace/metrics/exporter.h"
#include "userspace/net/next_hop_resolver.h"
#include "userspace/rpc/api_socket.h"
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

// Everything that takes rights which are given up afterwards, and has no thread yet.
struct Opened {
  std::unique_ptr<KernelDataplane> dataplane;
  std::unique_ptr<NextHopResolver> next_hops;
  std::unique_ptr<Controller> controller;
  std::optional<ApiSocket> socket;
  UniqueFd tcp;
};

Status OpenSockets(const DaemonOptions& options, Opened& opened) {
  const auto& user = options.access.user;
  std::optional<ApiSocket::Owner> owner;
  if (user) owner = {.user = user->user, .group = user->group};
  auto socket = ApiSocket::Open(options.socket, owner);
  if (!socket) return std::unexpected(socket.error());
  opened.socket.emplace(std::move(*socket));
  if (!options.access.tls) return {};
  auto tcp = ListenTcp(options.access.tls->listen);
  if (!tcp) return std::unexpected(tcp.error());
  opened.tcp = std::move(*tcp);
  return {};
}

Result<Opened> OpenAll(const DaemonOptions& options) {
  Opened opened;
  auto dataplane = KernelDataplane::Open(options.dataplane);
  if (!dataplane) return std::unexpected(dataplane.error());
  opened.dataplane = std::move(*dataplane);
  if (const auto& user = options.access.user)
    for (const Status& given : {opened.dataplane->GivePins(user->user, user->group), GiveFile(options.store, *user)})
      if (!given) return std::unexpected(given.error());
  // The checker opens it on interfaces; the program is loaded now, for it is looked up by ids.
  if (auto loaded = opened.dataplane->OpenProbeTunnel({}); !loaded) return std::unexpected(loaded.error());
  auto next_hops = NextHopResolver::Create();
  if (!next_hops) return std::unexpected(next_hops.error());
  opened.next_hops = std::move(*next_hops);
  {
    const FileRightsOf as_user(options.access.user);  // as later on, so that what it may not do shows now
    auto controller = Controller::Open(options.store, *opened.dataplane, *opened.next_hops, options.store_history);
    if (!controller) return std::unexpected(controller.error());
    opened.controller = std::move(*controller);
  }
  if (const auto attached = opened.dataplane->Attach(); !attached) return std::unexpected(attached.error());
  for (const std::string& note : opened.dataplane->notes()) LOG(INFO) << note;
  if (auto sockets = OpenSockets(options, opened); !sockets) return std::unexpected(sockets.error());
  return opened;
}

// With rights of its own, and outside the filter on system calls.
Result<std::unique_ptr<ProgramStarter>> ForkProgramStarter(const AccessOptions& access) {
  std::function<Status()> prepare;
  if (access.user || geteuid() != 0) prepare = [&access] { return KeepStartingPrograms(access.user); };
  return ProgramStarter::Fork({.users = access.program_users, .prepare = std::move(prepare)});
}

std::string StatusLine(const Snapshot& snapshot) {
  size_t reals = 0;
  size_t up = 0;
  for (const auto& [key, vip] : snapshot.desired.vips) {
    reals += vip.reals.size();
    for (const auto& [address, real] : vip.reals) up += IsHealthy(HealthOf(snapshot.liveness, key, address)) ? 1 : 0;
  }
  return fmt::format("{} VIPs, {} of {} reals up", snapshot.desired.vips.size(), up, reals);
}

// Until a signal to stop comes, tells the service manager how things are, and that the writer is alive if it is.
void AwaitStop(ServiceManager& manager, Controller& controller) {
  using std::chrono::milliseconds;
  constexpr milliseconds kTell{5000};
  constexpr int kPartsOfWatchdog = 4;  // so that one word that comes late is no end
  milliseconds pause = kTell;
  if (const auto watchdog = manager.watchdog())
    pause = std::clamp(std::chrono::duration_cast<milliseconds>(*watchdog / kPartsOfWatchdog), milliseconds(1), kTell);
  AwaitStopSignal({.reload =
                       [&] {
                         manager.Reloading();
                         Reload(controller);
                         manager.Ready();
                       },
                   .meanwhile =
                       [&] {
                         manager.Show(StatusLine(*controller.snapshot()));
                         if (controller.Answers(pause)) manager.Alive();
                       },
                   .pause = pause});
  manager.Stopping();
}

Status Serve(const DaemonOptions& options, ServiceManager& manager) {
  const AccessOptions& access = options.access;
  if (auto may_start = CheckCapabilities(access.user); !may_start) return may_start;
  const auto programs = ForkProgramStarter(access);
  if (!programs) return std::unexpected(programs.error());
  auto opened = OpenAll(options);
  if (!opened) return std::unexpected(opened.error());
  if (access.user || geteuid() != 0)
    if (auto dropped = DropPrivileges(access.user); !dropped) return dropped;

  // Threads from here on.
  auto& [dataplane, next_hops, controller, socket, tcp] = *opened;
  controller->Run();
  auto interfaces = InterfaceWatch::Start(options.dataplane.interfaces, *controller, *dataplane);
  if (!interfaces) return std::unexpected(interfaces.error());
  auto checker = Checker::Start(*controller, {.max_in_flight = options.probe_sockets,
                                              .open_tunnel =
                                                  [&](std::span<const uint32_t> interface_indices) {
                                                    return opened->dataplane->OpenProbeTunnel(interface_indices);
                                                  },
                                              .programs = programs->get()});
  if (!checker) return std::unexpected(checker.error());
  std::unique_ptr<Hook> hook;
  if (options.event_hook) {
    HookOptions hook_options = *options.event_hook;
    hook_options.programs = programs->get();
    auto started = Hook::Start(controller->events(), std::move(hook_options));
    if (!started) return std::unexpected(started.error());
    hook = std::move(*started);
  }
  auto announcer = Announcer::Start(options.announce, *controller, *dataplane);
  if (!announcer) return std::unexpected(announcer.error());
  std::unique_ptr<Exporter> exporter;
  if (options.metrics_listen) {
    auto started = Exporter::Start(*options.metrics_listen, SHUNT_VERSION, *controller, *dataplane);
    if (!started) return std::unexpected(started.error());
    exporter = std::move(*started);
  }
  // Last, so that who is answered knows that all else has started.
  auto server = Server::Start(std::move(*socket), {.admins = access.admins, .tls = access.tls, .tcp = std::move(tcp)},
                              *controller, *dataplane);
  if (!server) return std::unexpected(server.error());
  if (access.seccomp)
    if (auto limited = LimitSystemCalls(); !limited) return limited;

  LogReady(options, controller->interfaces(), *controller->snapshot());
  controller->Ready();
  manager.Ready();
  AwaitStop(manager, *controller);
  Leave(options.leave, *controller, *dataplane,
        {.hook = hook.get(), .announcer = options.announce.table != 0 ? announcer->get() : nullptr});

  controller->events().Close();  // ends what the server streams, and the hook
  server->reset();
  exporter.reset();
  announcer->reset();
  hook.reset();
  checker->reset();
  interfaces->reset();
  controller.reset();
  return options.detach_on_exit ? dataplane->Detach() : Status{};
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
  shunt::ServiceManager manager = shunt::ServiceManager::FromEnvironment();
  const auto served = shunt::Serve(*options, manager);
  if (!served) shunt::PrintProblems(served.error().message);
  return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

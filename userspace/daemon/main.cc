// SPDX-License-Identifier: Apache-2.0
// shuntd. Only wires: flags, data plane, next hops, controller, interfaces, API, metrics, in this order and back.
// Exit status: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 flags that make no sense.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glog/logging.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/control/controller.h"
#include "userspace/daemon/flags.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/metrics/exporter.h"
#include "userspace/net/next_hop_resolver.h"
#include "userspace/rpc/server.h"

namespace shunt {
namespace {

using Attachments = std::vector<KernelDataplane::Attachment>;

void PrintProblems(std::string_view text) {
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    fmt::print(stderr, "shuntd: {}\n", text.substr(start, end - start));
    start = end + 1;
  }
}

// Blocked before the first thread starts, so that only sigwait() sees them.
sigset_t BlockStopSignals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  return stop;
}

void LogReady(const DaemonOptions& options, const Attachments& attachments, const Snapshot& snapshot) {
  std::vector<std::string> interfaces;
  for (const auto& attachment : attachments) {
    interfaces.push_back(fmt::format("{} ({})", attachment.interface, attachment.native ? "native" : "generic"));
    if (!attachment.native && options.dataplane.xdp_mode == XdpMode::kAuto) {
      LOG(WARNING) << attachment.interface << ": the driver has no XDP, so the program runs in generic mode, slower";
    }
  }
  size_t reals = 0;
  for (const auto& [key, vip] : snapshot.desired.vips) reals += vip.reals.size();
  LOG(INFO) << fmt::format("ready: interfaces {}; {} VIPs, {} reals; socket {}{}", fmt::join(interfaces, ", "),
                           snapshot.desired.vips.size(), reals, options.socket,
                           options.metrics_listen ? "; metrics on " + options.metrics_listen->ToString() : "");
}

Status Serve(const DaemonOptions& options, const sigset_t& stop) {
  auto dataplane = KernelDataplane::Open(options.dataplane);
  if (!dataplane) return std::unexpected(dataplane.error());
  auto next_hops = NextHopResolver::Create();
  if (!next_hops) return std::unexpected(next_hops.error());
  auto controller = Controller::Start(options.store, **dataplane, **next_hops);
  if (!controller) return std::unexpected(controller.error());
  const auto attachments = (*dataplane)->Attach();
  if (!attachments) return std::unexpected(attachments.error());
  auto server = Server::Start(options.socket, **controller, **dataplane);
  if (!server) return std::unexpected(server.error());
  std::unique_ptr<Exporter> exporter;
  if (options.metrics_listen) {
    auto started = Exporter::Start(*options.metrics_listen, SHUNT_VERSION, **controller, **dataplane);
    if (!started) return std::unexpected(started.error());
    exporter = std::move(*started);
  }

  LogReady(options, *attachments, *(*controller)->snapshot());
  int signal_number = 0;
  sigwait(&stop, &signal_number);
  LOG(INFO) << "stopping: " << (signal_number == SIGTERM ? "SIGTERM" : "SIGINT");

  exporter.reset();
  server->reset();
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
  const sigset_t stop = shunt::BlockStopSignals();
  const auto served = shunt::Serve(*options, stop);
  if (!served) shunt::PrintProblems(served.error().message);
  return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

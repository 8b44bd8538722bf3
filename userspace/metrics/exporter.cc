// SPDX-License-Identifier: Apache-2.0
#include "userspace/metrics/exporter.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

#include "userspace/base/unique_fd.h"
#include "userspace/control/counters.h"
#include "userspace/metrics/families.h"

namespace shunt {
namespace {

class Scraper final : public prometheus::Collectable {
 public:
  Scraper(std::string version, Controller& controller, Dataplane& dataplane)
      : version_(std::move(version)), controller_(controller), dataplane_(dataplane) {}

  MetricFamilies Collect() const override {
    const auto snapshot = controller_.snapshot();
    MetricFamilies families = ObservedFamilies(*snapshot);
    const auto add = [&](MetricFamilies more) { std::ranges::move(more, std::back_inserter(families)); };
    int errors = 0;
    const auto note = [&](const Error& error) {
      ++errors;
      LOG(WARNING) << "metrics: " << error.message;
    };
    if (const auto counters = ReadCounters(dataplane_, snapshot->plan); counters) {
      add(TrafficFamilies(*snapshot, *counters));
    } else {
      note(counters.error());
    }
    if (const auto verdicts = dataplane_.ReadVerdicts(); verdicts) {
      add(VerdictFamilies(*verdicts));
    } else {
      note(verdicts.error());
    }
    add(HealthFamilies(*snapshot, *controller_.health(), controller_.events().CountsByKind()));
    add(HostFamilies(*snapshot, controller_.interfaces()));
    add(ExporterFamilies(version_, errors));
    return families;
  }

 private:
  const std::string version_;
  Controller& controller_;
  Dataplane& dataplane_;
};

// The web server says only that it could not listen, so why is found out before, on a socket of our own.
Status TryListen(const Endpoint& listen) {
  const std::string what = fmt::format("metrics on {}", listen.ToString());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(listen.port);
  const std::string text = listen.address.ToString();
  if (listen.address.family() != Family::kIpv4 || inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1) {
    return Fail(ErrorKind::kInvalid, what + ": expected an IPv4 address; the web server has no IPv6");
  }
  const UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return FailErrno(what + ": opening a socket", errno);
  const int yes = 1;  // connections of a daemon that just ended do not count
  setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::listen(probe.get(), 1) == 0) {
    return {};
  }
  const char* remedy = errno == EADDRINUSE
                           ? "stop what listens there, or choose another port with --metrics_listen"
                           : "choose an address of this host and a port from 1024 with --metrics_listen";
  return Fail(ErrorKind::kSystem, fmt::format("{}: {}; {}", what, std::strerror(errno), remedy));
}

}  // namespace

struct Exporter::Impl {
  std::shared_ptr<Scraper> scraper;
  std::unique_ptr<prometheus::Exposer> exposer;  // destroyed before the scraper it calls
};

Exporter::Exporter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Exporter::~Exporter() = default;

Result<std::unique_ptr<Exporter>> Exporter::Start(const Endpoint& listen, const std::string& version,
                                                  Controller& controller, Dataplane& dataplane) {
  if (const auto status = TryListen(listen); !status) return std::unexpected(status.error());
  auto impl = std::make_unique<Impl>();
  impl->scraper = std::make_shared<Scraper>(version, controller, dataplane);
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(std::vector<std::string>{
        "listening_ports", listen.ToString(), "num_threads", "2", "request_timeout_ms", "10000"});
    impl->exposer->RegisterCollectable(impl->scraper);
  } catch (const std::exception& error) {
    return Fail(ErrorKind::kSystem,
                fmt::format("metrics on {}: starting the web server: {}", listen.ToString(), error.what()));
  }
  return std::unique_ptr<Exporter>(new Exporter(std::move(impl)));
}

uint16_t Exporter::port() const {
  const auto ports = impl_->exposer->GetListeningPorts();
  return ports.empty() ? 0 : static_cast<uint16_t>(ports.front());
}

}  // namespace shunt

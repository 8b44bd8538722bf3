// SPDX-License-Identifier: Apache-2.0
#include "userspace/metrics/exporter.h"

#include <CivetServer.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string_view>
#include <vector>

#include "userspace/base/unique_fd.h"
#include "userspace/control/counters.h"
#include "userspace/control/digests.h"
#include "userspace/metrics/families.h"
#include "userspace/metrics/ready.h"

namespace shunt {
namespace {

class Scraper {
 public:
  Scraper(std::string version, Controller& controller, Dataplane& dataplane)
      : version_(std::move(version)), controller_(controller), dataplane_(dataplane) {}

  MetricFamilies Collect() const {
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
    add(AnnounceFamilies(*controller_.announcements()));
    add(DigestFamilies(controller_.DigestsOf(*snapshot), HashKeyId(snapshot->desired.hash_key)));
    add(ExporterFamilies(version_, errors));
    return families;
  }

 private:
  const std::string version_;
  Controller& controller_;
  Dataplane& dataplane_;
};

// One answer, whole; the connection ends, as few ask and seldom.
void Send(mg_connection* connection, int status, std::string_view type, std::string_view body) {
  const std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: "
      "close\r\n\r\n",
      status, mg_get_response_code_text(connection, status), type, body.size());
  mg_write(connection, head.data(), head.size());
  mg_write(connection, body.data(), body.size());
}

class MetricsHandler final : public CivetHandler {
 public:
  explicit MetricsHandler(Scraper& scraper) : scraper_(scraper) {}
  bool handleGet(CivetServer*, mg_connection* connection) override {
    Send(connection, 200, "text/plain; version=0.0.4; charset=utf-8",
         prometheus::TextSerializer().Serialize(scraper_.Collect()));
    return true;
  }

 private:
  Scraper& scraper_;
};

class ReadyHandler final : public CivetHandler {
 public:
  explicit ReadyHandler(Controller& controller) : controller_(controller) {}
  bool handleGet(CivetServer*, mg_connection* connection) override {
    constexpr std::string_view kPath = "/ready";
    const std::string_view path = mg_get_request_info(connection)->local_uri;
    const ReadyAnswer answer = AnswerReady(path.substr(std::min(kPath.size(), path.size())),
                                           *controller_.announcements(), controller_.snapshot()->host);
    Send(connection, answer.status, "text/plain; charset=utf-8", answer.text);
    return true;
  }

 private:
  Controller& controller_;
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
  Impl(std::string version, Controller& controller, Dataplane& dataplane)
      : scraper(std::move(version), controller, dataplane), ready(controller) {}

  Scraper scraper;
  MetricsHandler metrics{scraper};
  ReadyHandler ready;
  std::unique_ptr<CivetServer> server;  // destroyed before what it calls
};

Exporter::Exporter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Exporter::~Exporter() = default;

Result<std::unique_ptr<Exporter>> Exporter::Start(const Endpoint& listen, const std::string& version,
                                                  Controller& controller, Dataplane& dataplane) {
  if (const auto status = TryListen(listen); !status) return std::unexpected(status.error());
  auto impl = std::make_unique<Impl>(version, controller, dataplane);
  try {
    impl->server = std::make_unique<CivetServer>(std::vector<std::string>{
        "listening_ports", listen.ToString(), "num_threads", "2", "request_timeout_ms", "10000"});
    impl->server->addHandler("/metrics$", impl->metrics);
    impl->server->addHandler("/ready", impl->ready);
  } catch (const std::exception& error) {
    return Fail(ErrorKind::kSystem,
                fmt::format("metrics on {}: starting the web server: {}", listen.ToString(), error.what()));
  }
  return std::unique_ptr<Exporter>(new Exporter(std::move(impl)));
}

uint16_t Exporter::port() const {
  const auto ports = impl_->server->getListeningPorts();
  return ports.empty() ? 0 : static_cast<uint16_t>(ports.front());
}

}  // namespace shunt

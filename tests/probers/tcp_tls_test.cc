// SPDX-License-Identifier: Apache-2.0
// TCP and TLS probes.
#include <netinet/tcp.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/probers/asking.h"
#include "userspace/health/probe_socket.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

TEST_CASE("tcp: an open port passes, a closed one is refused, and it passes again") {
  Asking asking;
  auto server = std::make_unique<TcpServer>([](int) {});
  const uint16_t port = server->port();
  auto& prober = asking.Prober(Target(CheckKind::kTcp, "127.0.0.1", port));
  const Outcome first = asking.Ask(prober);
  CHECK(first.passed);
  CHECK(first.cause == "");
  server.reset();
  const Outcome refused = asking.Ask(prober);
  CHECK_FALSE(refused.passed);
  CHECK(refused.cause == "connect: Connection refused");
  server = std::make_unique<TcpServer>([](int) {}, port);
  CHECK(asking.Ask(prober).passed);
  CHECK(prober.prober->sockets() == 0);
}

TEST_CASE("tcp: silence fails when the time is up, in both families") {
  Asking asking;
  for (const char* address : {kSilent, kSilentIpv6}) {
    auto& prober = asking.Prober(Target(CheckKind::kTcp, address, 80));
    const Outcome outcome = asking.Ask(prober, milliseconds(40));
    CHECK_FALSE(outcome.passed);
    CHECK(outcome.cause == "no answer within 40 ms");
    CHECK(outcome.took == milliseconds(40));
    CHECK(prober.prober->sockets() == 0);
  }
}

TEST_CASE("tcp: an address without a route fails at once, but not from within Start") {
  Asking asking;
  auto& prober = asking.Prober(Target(CheckKind::kTcp, "192.0.2.1", 80));
  const Outcome outcome = asking.Ask(prober);
  CHECK(outcome.cause == "connect: Network is unreachable");
}

TEST_CASE("tcp: a probe leaves no connection behind, neither with the program nor in TIME_WAIT") {
  Asking asking;
  TcpServer server([](int) {});
  auto& prober = asking.Prober(Target(CheckKind::kTcp, "127.0.0.1", server.port()));
  for (int i = 0; i < 50; ++i) REQUIRE(asking.Ask(prober).passed);
  // They would be accepted in the order in which they came.
  const UniqueFd last(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress to(Address("127.0.0.1"), server.port());
  REQUIRE(connect(last.get(), to.get(), to.length) == 0);
  REQUIRE(Comes([&] { return server.accepted() > 0; }));
  CHECK(server.accepted() == 1);
  std::ifstream table("/proc/thread-self/net/tcp");
  char port[6];
  std::snprintf(port, sizeof(port), ":%04X", server.port());
  int listening = 0, others = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.find(port) == std::string::npos) continue;
    line.find(" 0A ") != std::string::npos ? ++listening : ++others;
  }
  CHECK(listening == 1);
  CHECK(others <= 2);  // the two ends of the last one
}

TEST_CASE("a prober destroyed while it asks tells nothing, and one destroyed by its outcome is gone cleanly") {
  Asking asking;
  auto& silent = asking.Prober(Target(CheckKind::kTcp, kSilent, 80));
  silent.prober->Start({}, milliseconds(10));
  CHECK(silent.prober->sockets() == 1);
  silent.prober.reset();
  asking.RunFor(milliseconds(30));
  CHECK(silent.outcomes.empty());

  std::unique_ptr<Prober> prober;
  const std::string kept(100, 'k');
  int outcomes = 0;
  prober = MakeProber(Target(CheckKind::kTcp, "127.0.0.1", ClosedPort()), asking.loop(), asking.shared(),
                      [&, kept](const Outcome&) {
                        prober.reset();
                        CHECK(kept == std::string(100, 'k'));
                        ++outcomes;
                        asking.loop().Stop();
                      });
  prober->Start({}, milliseconds(1000));
  asking.loop().Run();
  CHECK(outcomes == 1);
}

// nginx with one TLS server, and what probes of it need.
struct TlsServer {
  explicit TlsServer(const std::string& more = "")
      : own(folder, "real.example"),
        client(folder, "client.example"),
        port(ClosedPort()),
        nginx({"/usr/sbin/nginx", "-e", folder.File("errors"), "-c",
               folder.Write("nginx.conf", "daemon off; master_process off; user root; pid " + folder.File("pid") +
                                              "; error_log " + folder.File("errors") +
                                              "; events {} http { access_log off; server { listen 127.0.0.1:" +
                                              std::to_string(port) + " ssl; ssl_certificate " + own.certificate +
                                              "; ssl_certificate_key " + own.key + "; " + more + " } }")}) {
    REQUIRE(Listens("127.0.0.1", port));
  }

  ProbeTarget Probe() const {
    ProbeTarget target = Target(CheckKind::kTls, "127.0.0.1", port);
    target.check.tls_ca = own.certificate;
    target.check.tls_name = "real.example";
    return target;
  }

  TemporaryFolder folder;
  Certificate own, client;
  uint16_t port;
  Program nginx;
};

TEST_CASE("tls: a trusted certificate with the name passes, one without it does not") {
  Asking asking;
  const TlsServer server;
  CHECK(asking.Ask(asking.Prober(server.Probe())).cause == "");

  ProbeTarget wrong_name = server.Probe();
  wrong_name.check.tls_name = "other.example";
  CHECK(asking.Ask(asking.Prober(wrong_name)).cause == "certificate: hostname mismatch");

  ProbeTarget wrong_authority = server.Probe();
  wrong_authority.check.tls_ca = server.client.certificate;
  CHECK(asking.Ask(asking.Prober(wrong_authority)).cause == "certificate: self-signed certificate");
  wrong_authority.check.tls_verify = false;
  wrong_authority.check.tls_name = "";
  CHECK(asking.Ask(asking.Prober(wrong_authority)).passed);
}

TEST_CASE("tls: the name that is asked for is the one that is verified, or the host's") {
  Asking asking;
  const TlsServer server("ssl_reject_handshake off;");
  ProbeTarget by_host = server.Probe();
  by_host.check.tls_name = "";
  by_host.check.host = "real.example";
  CHECK(asking.Ask(asking.Prober(by_host)).passed);
  by_host.check.host = "other.example";
  CHECK(asking.Ask(asking.Prober(by_host)).cause == "certificate: hostname mismatch");
}

TEST_CASE("tls: files that cannot be read are named") {
  Asking asking;
  ProbeTarget target = Target(CheckKind::kTls, "127.0.0.1", 1);
  target.check.tls_ca = "/nonexistent/ca.pem";
  CHECK(asking.Ask(asking.Prober(target))
            .cause.starts_with("reading trusted certificates from \"/nonexistent/ca.pem\": "));
  target.check.tls_ca = "";
  target.check.tls_certificate = target.check.tls_key = "/nonexistent/own.pem";
  CHECK(asking.Ask(asking.Prober(target)).cause.starts_with("reading a certificate from \"/nonexistent/own.pem\": "));
}

TEST_CASE("tls: a client's certificate is shown") {
  Asking asking;
  // TLS 1.2, in which the server's refusal is part of the handshake.
  const TlsServer server("ssl_protocols TLSv1.2; ssl_verify_client off;");
  ProbeTarget target = server.Probe();
  target.check.tls_certificate = server.client.certificate;
  target.check.tls_key = server.client.key;
  CHECK(asking.Ask(asking.Prober(target)).passed);
}

TEST_CASE("tls: what is no TLS, a closed connection and silence after the connection fail, each with its cause") {
  Asking asking;
  ProbeTarget target = Target(CheckKind::kTls, "127.0.0.1", 0);
  target.check.tls_verify = false;

  TcpServer other([](int fd) { SendAll(fd, "220 I speak something else\r\n"); });
  target.port = other.port();
  CHECK(asking.Ask(asking.Prober(target)).cause == "TLS handshake: wrong version number");

  TcpServer closing([](int fd) {
    char byte = 0;
    recv(fd, &byte, 1, 0);
    std::array<char, 4096> rest;
    recv(fd, rest.data(), rest.size(), 0);
  });
  target.port = closing.port();
  CHECK(asking.Ask(asking.Prober(target)).cause == "TLS handshake: the connection was closed");

  TcpServer silent([](int fd) { ReadRequest(fd); });
  target.port = silent.port();
  auto& prober = asking.Prober(target);
  CHECK(asking.Ask(prober, milliseconds(60)).cause == "no answer within 60 ms");
  CHECK(prober.prober->sockets() == 0);

  target.port = ClosedPort();
  CHECK(asking.Ask(asking.Prober(target)).cause == "connect: Connection refused");
}

}  // namespace
}  // namespace shunt

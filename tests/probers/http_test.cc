// SPDX-License-Identifier: Apache-2.0
// HTTP, HTTPS and HTTP/2 probes.
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>

#include "tests/probers/asking.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

std::string SiteOf(const TemporaryFolder& folder, const std::string& listen, const std::string& more = "") {
  return "server { listen " + listen + "; keepalive_timeout 60; keepalive_requests 100000; " + more +
         " location / { return 200 'all is well'; } location /missing { return 404; }"
         " location /moved { return 302 /missing; } location /host { return 200 '$host'; }"
         " location /method { return 200 '$request_method'; } location /big { root " +
         folder.File("") + "; } }";
}

struct Nginx {
  Nginx()
      : own(folder, "real.example"),
        client(folder, "client.example"),
        plain(ClosedPort()),
        tls(ClosedPort()),
        h2(ClosedPort()),
        strict(ClosedPort()) {
    const std::string keys = "ssl_certificate " + own.certificate + "; ssl_certificate_key " + own.key + ";";
    const std::string on = "127.0.0.1:";
    configuration = folder.Write(
        "nginx.conf", "daemon off; master_process off; user root; pid " + folder.File("pid") + "; error_log " +
                          folder.File("errors") + "; events {} http { access_log off; " +
                          SiteOf(folder, on + std::to_string(plain)) +
                          SiteOf(folder, on + std::to_string(tls) + " ssl", keys) +
                          SiteOf(folder, on + std::to_string(h2) + " ssl http2", keys) +
                          SiteOf(folder, on + std::to_string(strict) + " ssl",
                                 keys + " ssl_verify_client on; ssl_client_certificate " + client.certificate + ";") +
                          " }");
    Run();
  }

  void Run() {
    program.emplace(std::vector<std::string>{"/usr/sbin/nginx", "-e", folder.File("errors"), "-c", configuration});
    REQUIRE(Listens("127.0.0.1", plain));
  }

  ProbeTarget Probe(CheckKind kind, uint16_t port) const {
    ProbeTarget target = Target(kind, "127.0.0.1", port);
    target.check.tls_ca = own.certificate;
    target.check.host = "real.example";
    return target;
  }

  TemporaryFolder folder;
  Certificate own, client;
  uint16_t plain, tls, h2, strict;
  std::string configuration;
  std::optional<Program> program;
};

TEST_CASE("http: status, body, host and method are asked for and judged") {
  Asking asking;
  const Nginx nginx;
  const auto ask = [&](const std::string& path, const std::string& body = "") {
    ProbeTarget target = nginx.Probe(CheckKind::kHttp, nginx.plain);
    target.check.path = path;
    target.check.body = body;
    return asking.Ask(asking.Prober(target)).cause;
  };
  CHECK(ask("/") == "");
  CHECK(ask("/?a=%20b#c") == "");
  CHECK(ask("/", "is well") == "");
  CHECK(ask("/", "is ill") == "the answer does not hold \"is ill\"");
  CHECK(ask("/missing") == "status 404, expected 200-399");
  CHECK(ask("/moved") == "");  // 302, and not followed
  CHECK(ask("/host", "real.example") == "");

  ProbeTarget target = nginx.Probe(CheckKind::kHttp, nginx.plain);
  target.check.path = "/missing";
  target.check.status = {{200, 200}, {404, 410}};
  CHECK(asking.Ask(asking.Prober(target)).passed);
  target.check.status = {{200, 200}, {500, 599}};
  CHECK(asking.Ask(asking.Prober(target)).cause == "status 404, expected 200, 500-599");
  target = nginx.Probe(CheckKind::kHttp, nginx.plain);
  target.check.path = "/method";
  target.check.method = "OPTIONS";
  target.check.body = "OPTIONS";
  CHECK(asking.Ask(asking.Prober(target)).passed);
  target.check.method = "HEAD";
  target.check.body = "";
  CHECK(asking.Ask(asking.Prober(target)).passed);
}

TEST_CASE("http: a real server goes, comes, falls silent and comes back") {
  Asking asking;
  Nginx nginx;
  auto& prober = asking.Prober(nginx.Probe(CheckKind::kHttp, nginx.plain));
  CHECK(asking.Ask(prober).passed);
  CHECK(prober.prober->sockets() == 1);
  nginx.program.reset();
  CHECK(asking.Ask(prober).cause == "connect: Connection refused");
  nginx.Run();
  CHECK(asking.Ask(prober).passed);  // the kept connection is dead: it is tried again on a new one
  // Stopped, its kernel still takes connections and data: only an answer can tell.
  nginx.program->Signal(SIGSTOP);
  CHECK(asking.Ask(prober, milliseconds(60)).cause == "no answer within 60 ms");
  CHECK(asking.Ask(prober, milliseconds(60)).cause == "no answer within 60 ms");
  nginx.program->Signal(SIGCONT);
  CHECK(asking.Ask(prober).passed);
}

TEST_CASE("https: certificate and name are verified, the client's certificate is shown") {
  Asking asking;
  const Nginx nginx;
  ProbeTarget target = nginx.Probe(CheckKind::kHttps, nginx.tls);
  target.check.body = "all is well";
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
  target.check.tls_name = "other.example";
  CHECK(asking.Ask(asking.Prober(target)).cause == "certificate: hostname mismatch");
  target.check.tls_name = "";
  target.check.tls_ca = nginx.client.certificate;
  CHECK(asking.Ask(asking.Prober(target)).cause == "certificate: self-signed certificate");
  target.check.tls_verify = false;
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
  target.check.tls_verify = true;
  target.check.tls_ca = "/nonexistent/ca.pem";
  CHECK(asking.Ask(asking.Prober(target)).cause == "certificate: cannot read \"/nonexistent/ca.pem\"");

  ProbeTarget strict = nginx.Probe(CheckKind::kHttps, nginx.strict);
  CHECK(asking.Ask(asking.Prober(strict)).cause == "status 400, expected 200-399");
  strict.check.tls_certificate = nginx.client.certificate;
  strict.check.tls_key = nginx.client.key;
  CHECK(asking.Ask(asking.Prober(strict)).cause == "");
  strict.check.tls_key = "/nonexistent/own.key";
  CHECK(asking.Ask(asking.Prober(strict)).cause ==
        "certificate: cannot use \"" + nginx.client.certificate + "\" with key \"/nonexistent/own.key\"");
}

TEST_CASE("https: the name of the handshake and the Host header may differ") {
  Asking asking;
  const Nginx nginx;
  ProbeTarget target = nginx.Probe(CheckKind::kHttps, nginx.tls);
  target.check.tls_name = "real.example";
  target.check.host = "www.example";
  target.check.path = "/host";
  target.check.body = "www.example";
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
}

// The addresses of this host's open connections to a port of 127.0.0.1.
std::string ConnectedFrom(uint16_t port) {
  char remote[32];
  std::snprintf(remote, sizeof(remote), " 0100007F:%04X 01 ", port);
  std::ifstream table("/proc/thread-self/net/tcp");
  std::string from;
  for (std::string line; std::getline(table, line);) {
    if (const auto at = line.find(remote); at != std::string::npos) from += line.substr(at - 14, 14);
  }
  return from;
}

TEST_CASE("http2: passes over TLS, keeps its connection, and a server without it fails") {
  Asking asking;
  Nginx nginx;
  ProbeTarget target = nginx.Probe(CheckKind::kHttp2, nginx.h2);
  target.check.tls = true;
  target.check.body = "all is well";
  auto& prober = asking.Prober(target);
  for (int i = 0; i < 3; ++i) CHECK(asking.Ask(prober).cause == "");
  CHECK(prober.prober->sockets() == 1);
  const std::string before = ConnectedFrom(nginx.h2);
  nginx.program->Signal(SIGSTOP);
  CHECK(asking.Ask(prober, milliseconds(60)).cause == "no answer within 60 ms");
  nginx.program->Signal(SIGCONT);
  CHECK(asking.Ask(prober).cause == "");
  CHECK(ConnectedFrom(nginx.h2) != before);  // not over the one that was silent
  target.port = nginx.tls;
  CHECK(asking.Ask(asking.Prober(target)).cause == "the server does not speak HTTP/2");
  target.port = nginx.plain;
  target.check.tls = false;  // prior knowledge, of which this nginx has none
  CHECK_FALSE(asking.Ask(asking.Prober(target)).passed);
}

// Answers each request of a connection with what `answer` says.
TcpServer::Serve Answering(std::function<std::string(const std::string& request)> answer) {
  return [answer = std::move(answer)](int fd) {
    for (std::string request = ReadRequest(fd); !request.empty(); request = ReadRequest(fd))
      SendAll(fd, answer(request));
  };
}

TEST_CASE("http: the text is found where it falls on the border of two pieces") {
  Asking asking;
  TcpServer server(Answering([](const std::string&) {
    return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n6\r\ns well\r\n0\r\n\r\n");
  }));
  ProbeTarget target = Target(CheckKind::kHttp, "127.0.0.1", server.port());
  target.check.body = "all is well";
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
}

TEST_CASE("http: of an endless answer only the beginning is read") {
  Asking asking;
  TcpServer server([](int fd) {
    ReadRequest(fd);
    SendAll(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nbegin");
    const std::string more(65536, 'x');
    char byte = 0;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 0 && send(fd, more.data(), more.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  ProbeTarget target = Target(CheckKind::kHttp, "127.0.0.1", server.port());
  auto& any = asking.Prober(target);
  CHECK(asking.Ask(any).cause == "");
  CHECK(any.prober->sockets() == 0);
  target.check.body = "begin";
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
  target.check.body = "end";
  CHECK(asking.Ask(asking.Prober(target)).cause == "the answer does not hold \"end\"");
}

TEST_CASE("http: a slow answer fails, its connection is given up, and the next probe is not confused by it") {
  Asking asking;
  std::atomic<int> delay_ms = 150;
  TcpServer server(Answering([&](const std::string&) {
    std::this_thread::sleep_for(milliseconds(delay_ms));
    return HttpAnswer(200, "ok");
  }));
  auto& prober = asking.Prober(Target(CheckKind::kHttp, "127.0.0.1", server.port()));
  CHECK(asking.Ask(prober, milliseconds(30)).cause == "no answer within 30 ms");
  CHECK(prober.prober->sockets() == 0);
  delay_ms = 0;
  CHECK(asking.Ask(prober).passed);
  CHECK(server.accepted() == 2);
}

TEST_CASE("http: a kept connection is used again, also after an answer that failed the check") {
  Asking asking;
  std::atomic<int> status = 200;
  TcpServer server(Answering([&](const std::string&) { return HttpAnswer(status, "x"); }));
  auto& prober = asking.Prober(Target(CheckKind::kHttp, "127.0.0.1", server.port()));
  for (int i = 0; i < 20; ++i) CHECK(asking.Ask(prober).passed);
  status = 503;
  CHECK(asking.Ask(prober).cause == "status 503, expected 200-399");
  status = 200;
  CHECK(asking.Ask(prober).passed);
  CHECK(server.accepted() == 1);
  CHECK(prober.prober->sockets() == 1);
}

TEST_CASE("http: a kept connection that the server closed is replaced without a failure") {
  Asking asking;
  TcpServer server(Answering([](const std::string&) { return HttpAnswer(200, "x"); }));
  auto& prober = asking.Prober(Target(CheckKind::kHttp, "127.0.0.1", server.port()));
  for (uint32_t i = 1; i <= 5; ++i) {
    CHECK(asking.Ask(prober).cause == "");
    CHECK(server.accepted() == i);
    server.BreakConnections();
  }
}

TEST_CASE("http: what is no HTTP, an empty answer and one cut short fail, each with its cause") {
  Asking asking;
  const auto cause = [&](const std::string& answer) {
    TcpServer server([&](int fd) {
      ReadRequest(fd);
      SendAll(fd, answer);
    });
    return asking.Ask(asking.Prober(Target(CheckKind::kHttp, "127.0.0.1", server.port()))).cause;
  };
  CHECK(cause("SSH-2.0-OpenSSH\r\n") == "the answer is not HTTP");
  CHECK(cause("") == "the connection was closed without an answer");
  CHECK(cause("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") == "the connection was closed within the answer");
}

TEST_CASE("http: neither the environment nor a redirect leads a probe elsewhere") {
  Asking asking;
  setenv("http_proxy", "http://127.0.0.1:1/", 1);
  setenv("all_proxy", "http://127.0.0.1:1/", 1);
  TcpServer server(Answering([](const std::string& request) {
    const bool origin_form = request.starts_with("GET /state?x HTTP/1.1\r\n");
    return origin_form ? "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                       : HttpAnswer(500, "");
  }));
  ProbeTarget target = Target(CheckKind::kHttp, "127.0.0.1", server.port());
  target.check.path = "/state?x";
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
  unsetenv("http_proxy");
  unsetenv("all_proxy");
}

TEST_CASE("http: silence from the first packet on fails when the time is up, in both families") {
  Asking asking;
  for (const char* address : {kSilent, kSilentIpv6}) {
    auto& prober = asking.Prober(Target(CheckKind::kHttp, address, 80));
    CHECK(asking.Ask(prober, milliseconds(40)).cause == "no answer within 40 ms");
    CHECK(prober.prober->sockets() == 0);
  }
}

TEST_CASE("http: a prober destroyed under way or with a kept connection leaves nothing behind") {
  Asking asking;
  TcpServer server(Answering([](const std::string&) { return HttpAnswer(200, "x"); }));
  auto& kept = asking.Prober(Target(CheckKind::kHttp, "127.0.0.1", server.port()));
  CHECK(asking.Ask(kept).passed);
  kept.prober.reset();
  auto& silent = asking.Prober(Target(CheckKind::kHttp, kSilent, 80));
  silent.prober->Start({}, milliseconds(10));
  silent.prober.reset();
  asking.RunFor(milliseconds(30));
  CHECK(silent.outcomes.empty());
  auto& next = asking.Prober(Target(CheckKind::kHttp, "127.0.0.1", server.port()));
  CHECK(asking.Ask(next).passed);
  CHECK(server.accepted() == 2);
}

}  // namespace
}  // namespace shunt

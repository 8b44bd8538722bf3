// SPDX-License-Identifier: Apache-2.0
// gRPC health probes, against the gRPC library's own health service.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "tests/probers/asking.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

std::string Contents(const std::string& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class GrpcServer {
 public:
  explicit GrpcServer(bool health, const Certificate* own = nullptr, int port = 0) {
    grpc::EnableDefaultHealthCheckService(health);
    auto credentials = grpc::InsecureServerCredentials();
    if (own) {
      grpc::SslServerCredentialsOptions options;
      options.pem_key_cert_pairs.push_back({Contents(own->key), Contents(own->certificate)});
      credentials = grpc::SslServerCredentials(options);
    }
    grpc::ServerBuilder builder;
    int bound = 0;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), credentials, &bound);
    builder.RegisterAsyncGenericService(&nothing_else_);  // a server must have a service
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    REQUIRE(server_);
    port_ = static_cast<uint16_t>(bound);
  }
  ~GrpcServer() {
    server_->Shutdown(std::chrono::system_clock::now());
    queue_->Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) {
    }
  }

  uint16_t port() const { return port_; }
  void Set(const std::string& service, bool serving) {
    server_->GetHealthCheckService()->SetServingStatus(service, serving);
  }

 private:
  grpc::AsyncGenericService nothing_else_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  uint16_t port_ = 0;
};

TEST_CASE("grpc: serving passes, not serving fails, and it passes again") {
  Asking asking;
  GrpcServer server(true);
  auto& prober = asking.Prober(Target(CheckKind::kGrpc, "127.0.0.1", server.port()));
  CHECK(asking.Ask(prober).cause == "");
  server.Set("", false);
  CHECK(asking.Ask(prober).cause == "NOT_SERVING");
  server.Set("", true);
  CHECK(asking.Ask(prober).cause == "");
  CHECK(prober.prober->sockets() <= 1);
}

TEST_CASE("grpc: one service of a server is asked for by its name") {
  Asking asking;
  GrpcServer server(true);
  ProbeTarget target = Target(CheckKind::kGrpc, "127.0.0.1", server.port());
  target.check.grpc_service = "shop.v1.Orders";
  auto& prober = asking.Prober(target);
  CHECK(asking.Ask(prober).cause == "grpc-status 5 (NOT_FOUND)");
  server.Set("shop.v1.Orders", true);
  CHECK(asking.Ask(prober).cause == "");
  server.Set("shop.v1.Orders", false);
  CHECK(asking.Ask(prober).cause == "NOT_SERVING");
}

TEST_CASE("grpc: passes over TLS with a verified certificate") {
  Asking asking;
  const TemporaryFolder folder;
  const Certificate own(folder, "real.example");
  GrpcServer server(true, &own);
  ProbeTarget target = Target(CheckKind::kGrpc, "127.0.0.1", server.port());
  target.check.tls = true;
  target.check.tls_ca = own.certificate;
  target.check.tls_name = "real.example";
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
  target.check.tls_name = "other.example";
  CHECK(asking.Ask(asking.Prober(target)).cause == "certificate: hostname mismatch");
}

TEST_CASE("grpc: a server that goes is refused, and passes when it is back") {
  Asking asking;
  auto server = std::make_unique<GrpcServer>(true);
  const uint16_t port = server->port();
  auto& prober = asking.Prober(Target(CheckKind::kGrpc, "127.0.0.1", port));
  CHECK(asking.Ask(prober).cause == "");
  server.reset();
  CHECK(asking.Ask(prober).cause == "connect: Connection refused");
  server = std::make_unique<GrpcServer>(true, nullptr, port);
  CHECK(asking.Ask(prober).cause == "");
}

TEST_CASE("grpc: what is not the health service fails with its cause") {
  Asking asking;
  GrpcServer without(false);
  // Nobody takes the call from its generic service: silence.
  CHECK(asking.Ask(asking.Prober(Target(CheckKind::kGrpc, "127.0.0.1", without.port())), milliseconds(60)).cause ==
        "no answer within 60 ms");
  TcpServer plain([](int fd) {
    ReadRequest(fd);
    SendAll(fd, HttpAnswer(200, "I am not gRPC"));
  });
  CHECK_FALSE(asking.Ask(asking.Prober(Target(CheckKind::kGrpc, "127.0.0.1", plain.port()))).passed);
  CHECK(asking.Ask(asking.Prober(Target(CheckKind::kGrpc, kSilent, 80)), milliseconds(40)).cause ==
        "no answer within 40 ms");
}

}  // namespace
}  // namespace shunt

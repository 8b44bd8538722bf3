// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/server.h"

#include <fmt/format.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "userspace/base/text.h"
#include "userspace/net/socket_address.h"
#include "userspace/rpc/acceptor.h"
#include "userspace/rpc/convert.h"
#include "userspace/rpc/guarded_service.h"
#include "userspace/rpc/service.h"
#include "userspace/rpc/tls.h"

namespace shunt {
namespace {

constexpr std::chrono::seconds kShutdownGrace{5};  // then calls under way are cancelled
constexpr size_t kMaxConnections = 128;            // of each kind, so that readers cannot keep admins out
constexpr int kMaxCallsOfConnection = 64;
constexpr int kMaxIdleMs = 600 * 1000;  // a connection without a call for so long is closed
constexpr int kMaxHandshakeMs = 10 * 1000;

grpc::Status MayNot(const std::string& remedy) {
  return {grpc::StatusCode::PERMISSION_DENIED, "changing what Shunt does: this connection may only read; " + remedy};
}

// Who connected to a Unix socket, as the kernel knows it.
std::optional<uid_t> UserOf(int connection) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  return peer.uid;
}

// For the history. gRPC names a connection that was handed to it by its descriptor, which is open while it asks.
std::string NameOf(const grpc::ServerContext& context) {
  constexpr std::string_view kDescriptor = "fd:";
  if (const auto names = NamesOfCaller(context); !names.empty())
    return fmt::format("certificate of {}", *names.begin());
  const std::string peer = context.peer();
  if (!peer.starts_with(kDescriptor)) return {};
  const auto fd = ParseDecimal(std::string_view(peer).substr(kDescriptor.size()), std::numeric_limits<int>::max());
  const auto user = fd ? UserOf(static_cast<int>(*fd)) : std::nullopt;
  return user ? fmt::format("uid {}", *user) : std::string();
}

std::unique_ptr<grpc::Server> Build(grpc::ServerBuilder& builder, grpc::Service& service) {
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(kMaxReplyBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsOfConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kMaxIdleMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kMaxHandshakeMs);
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

// A service for connections with the same rights, and what serves it.
struct Gate {
  Gate(ShuntService& service, GuardedService::Judge may_change) : guarded(service, std::move(may_change)) {}
  bool StartOnDescriptors() {
    grpc::ServerBuilder builder;
    server = Build(builder, guarded);
    reception = {.max_connections = kMaxConnections,
                 .serve = [this](UniqueFd fd) { grpc::AddInsecureChannelFromFd(server.get(), fd.Release()); }};
    return server != nullptr;
  }

  GuardedService guarded;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> external;
  std::unique_ptr<grpc::Server> server;  // destroyed before the service it calls
  Reception reception;
};

}  // namespace

struct Server::Impl {
  Impl(ApiSocket socket_in, ServerOptions options_in, Controller& controller, Dataplane& dataplane)
      : socket(std::move(socket_in)),
        options(std::move(options_in)),
        service(controller, dataplane, NameOf),
        changers(service, [](const grpc::ServerContext&) { return grpc::Status::OK; }),
        readers(service,
                [](const grpc::ServerContext&) {
                  return MayNot("run shuntctl as root, or name the user in shuntd's --admins");
                }),
        tls(service, [this](const grpc::ServerContext& context) { return JudgeCertificate(context); }) {}

  bool MayChange(uid_t user) const { return user == 0 || user == geteuid() || options.admins.contains(user); }
  grpc::Status JudgeCertificate(const grpc::ServerContext& context) const;
  Status StartTls();

  const ApiSocket socket;
  const ServerOptions options;
  ShuntService service;
  Gate changers, readers, tls;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
};

grpc::Status Server::Impl::JudgeCertificate(const grpc::ServerContext& context) const {
  const auto& admins = options.tls->admins;
  const auto names = NamesOfCaller(context);
  if (std::ranges::any_of(names, [&](const std::string& name) { return admins.contains(name); }))
    return grpc::Status::OK;
  return MayNot("name one of the client certificate's names in shuntd's --tls_admins");
}

Status Server::Impl::StartTls() {
  if (auto usable = CheckTlsFiles(options.tls->files); !usable) return usable;
  grpc::ServerBuilder builder;
  tls.external = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, MakeTlsCredentials(options.tls->files));
  tls.server = Build(builder, tls.guarded);
  if (!tls.server) return Fail(ErrorKind::kSystem, "starting the API over TLS: gRPC refused");
  tls.reception = {.max_connections = kMaxConnections, .serve = [this](UniqueFd fd) {
                     grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
                     connection.listener_fd = options.tcp.get();
                     connection.fd = fd.Release();
                     tls.external->HandleNewConnection(&connection);
                   }};
  auto acceptor = Acceptor::Start("api-tls", options.tcp.get(), [this](int) { return &tls.reception; });
  if (!acceptor) return std::unexpected(acceptor.error());
  acceptors.push_back(std::move(*acceptor));
  return {};
}

Result<UniqueFd> ListenTcp(const Endpoint& endpoint) {
  const std::string doing = "listening on " + endpoint.ToString();
  const bool ipv4 = endpoint.address.family() == Family::kIpv4;
  UniqueFd fd(socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return FailErrno(doing, errno);
  constexpr int kOn = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof(kOn));
  const SocketAddress address(endpoint.address, endpoint.port);
  if (bind(fd.get(), address.get(), address.length) != 0 || listen(fd.get(), SOMAXCONN) != 0)
    return FailErrno(doing, errno);
  return fd;
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Server>> Server::Start(ApiSocket socket, ServerOptions options, Controller& controller,
                                              Dataplane& dataplane) {
  auto impl = std::make_unique<Impl>(std::move(socket), std::move(options), controller, dataplane);
  Impl& running = *impl;
  if (!running.changers.StartOnDescriptors() || !running.readers.StartOnDescriptors())
    return Fail(ErrorKind::kSystem, "starting the API: gRPC refused");
  std::unique_ptr<Server> server(new Server(std::move(impl)));
  if (running.options.tls)
    if (auto started = running.StartTls(); !started) return std::unexpected(started.error());
  auto acceptor = Acceptor::Start("api", running.socket.fd(), [&running](int connection) {
    const auto user = UserOf(connection);
    return user && running.MayChange(*user) ? &running.changers.reception : &running.readers.reception;
  });
  if (!acceptor) return std::unexpected(acceptor.error());
  running.acceptors.push_back(std::move(*acceptor));
  return server;
}

Server::~Server() {
  impl_->acceptors.clear();
  const auto deadline = std::chrono::system_clock::now() + kShutdownGrace;
  std::vector<std::thread> stopping;  // all at once, so that the grace is not given three times
  for (Gate* const gate : {&impl_->changers, &impl_->readers, &impl_->tls})
    if (gate->server) stopping.emplace_back([gate, deadline] { gate->server->Shutdown(deadline); });
  for (std::thread& thread : stopping) thread.join();
}

}  // namespace shunt

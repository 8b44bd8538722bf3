// SPDX-License-Identifier: Apache-2.0
// Who may do what over the API: every call there is, by a caller who may only read; connections beyond the limit.
// Roles of real users are for tests/lab/privileges.sh: here all callers are this process.
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <set>
#include <vector>

#include "tests/unit/rpc_testing.h"
#include "userspace/rpc/acceptor.h"
#include "userspace/rpc/guarded_service.h"

namespace shunt {
namespace {

using Daemon = testing::RpcDaemon;
using testing::Contains;

// Calls that change nothing. Whoever adds a call to the API decides here, and in guarded_service.cc.
const std::set<std::string> kReads{"GetConfig",  "GetState",    "GetVerdicts",      "ListFlows",
                                   "Explain",    "GetHealth",   "GetAnnouncements", "GetDigests",
                                   "ListEvents", "WatchEvents", "ListGenerations",  "DiffGenerations"};

// A service whose callers may only read, on a TCP port of loopback that gRPC chooses.
struct ReadOnly {
  explicit ReadOnly(Daemon& daemon)
      : service(*daemon.controller, daemon.dataplane), guarded(service, [](const grpc::ServerContext&) {
          return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "only reads");
        }) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&guarded);
    server = builder.BuildAndStart();
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
  }

  // An empty request; what came of it.
  grpc::Status Call(const std::string& method) const {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    grpc::CompletionQueue queue;
    const grpc::Slice nothing;
    const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&nothing, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer reply;
    grpc::Status status;
    call->Finish(&reply, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  ShuntService service;
  GuardedService guarded;
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

TEST_CASE("Who may only read can make no call that changes things, whichever calls there are", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  const ReadOnly read_only(daemon);
  const auto* const api = v1::GetConfigRequest::descriptor()->file()->service(0);
  REQUIRE(api->method_count() > 10);
  for (int i = 0; i < api->method_count(); ++i) {
    const std::string name = api->method(i)->name();
    if (name == "WatchEvents") continue;  // it does not end
    INFO(name);
    const auto code = read_only.Call("/" + api->full_name() + "/" + name).error_code();
    CHECK(code != grpc::StatusCode::UNIMPLEMENTED);
    CHECK((code == grpc::StatusCode::PERMISSION_DENIED) == !kReads.contains(name));
  }
}

TEST_CASE("Who may only read does not get the hash key", "[rpc]") {
  Daemon daemon;
  const ReadOnly read_only(daemon);
  v1::Config config;
  grpc::ClientContext context;
  REQUIRE(v1::Shunt::NewStub(read_only.channel)->GetConfig(&context, v1::GetConfigRequest(), &config).ok());
  CHECK(config.hash_key().empty());
  CHECK_FALSE(daemon.client->GetConfig()->hash_key().empty());
}

// Connections to a Unix socket, open or closed by the other side.
struct Dialer {
  explicit Dialer(const std::string& path) {
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  }
  UniqueFd Dial() const {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    return fd;
  }
  sockaddr_un address{};
};

bool IsClosed(const UniqueFd& fd) {
  char byte = 0;
  return recv(fd.get(), &byte, 1, 0) <= 0;
}

TEST_CASE("Of more connections than may be, each new one is closed, and one that ended makes room", "[rpc]") {
  const testing::RpcFolder folder;
  const std::string path = folder / "listen.sock";
  auto socket = ApiSocket::Open(path);
  REQUIRE(socket);
  // What is served gets a byte, and its descriptor stays here, as gRPC would keep it.
  std::vector<UniqueFd> served;
  Reception reception{.max_connections = 2, .serve = [&](UniqueFd fd) {
                        static_cast<void>(send(fd.get(), "x", 1, MSG_NOSIGNAL));
                        served.push_back(std::move(fd));
                      }};
  auto acceptor = Acceptor::Start("test", socket->fd(), [&](int) { return &reception; });
  REQUIRE(acceptor);
  const Dialer dialer(path);
  UniqueFd first = dialer.Dial();
  const UniqueFd second = dialer.Dial();
  CHECK_FALSE(IsClosed(first));
  CHECK_FALSE(IsClosed(second));
  CHECK(IsClosed(dialer.Dial()));
  first = UniqueFd();
  bool has_room = false;
  for (int i = 0; i < 1000 && !has_room; ++i) has_room = !IsClosed(dialer.Dial());
  CHECK(has_room);
}

}  // namespace
}  // namespace shunt

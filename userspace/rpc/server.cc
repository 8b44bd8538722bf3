// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/server.h"

#include <fmt/format.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "userspace/base/unique_fd.h"
#include "userspace/rpc/convert.h"
#include "userspace/rpc/service.h"

namespace shunt {
namespace {

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kAllButOwnersReadWrite = 0177;
constexpr std::chrono::seconds kShutdownGrace{5};  // then calls under way are cancelled

Status MakeFolder(const std::string& socket_path) {
  const std::string folder = std::filesystem::path(socket_path).parent_path().string();
  if (folder.empty() || mkdir(folder.c_str(), kFolderMode) == 0 || errno == EEXIST) return {};
  return FailErrno(fmt::format("creating folder {} for the API's socket", folder), errno);
}

Result<sockaddr_un> AddressOf(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.empty() || socket_path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorKind::kInvalid, fmt::format("socket {}: its path must have 1 to {} characters", socket_path,
                                                 sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  return address;
}

// Removes what a daemon that died left behind, and nothing else.
Status RemoveStaleSocket(const std::string& socket_path, const sockaddr_un& address) {
  struct stat status{};
  if (lstat(socket_path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return FailErrno(fmt::format("socket {}", socket_path), errno);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Fail(ErrorKind::kExists, fmt::format("socket {}: a file that is not a socket stands there; remove it or "
                                                "choose another path with --socket",
                                                socket_path));
  }
  // Not blocking: a daemon that is alive but accepts nothing has a full queue (EAGAIN).
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return FailErrno(fmt::format("socket {}: asking whether a daemon answers", socket_path), errno);
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno == EAGAIN) {
    return Fail(ErrorKind::kExists, fmt::format("socket {}: another daemon answers there; stop it (systemctl stop "
                                                "shuntd) or choose another path with --socket",
                                                socket_path));
  }
  if (errno != ECONNREFUSED) {
    return FailErrno(fmt::format("socket {}: asking whether a daemon answers", socket_path), errno);
  }
  if (unlink(socket_path.c_str()) != 0 && errno != ENOENT) {
    return FailErrno(fmt::format("removing the stale socket {}", socket_path), errno);
  }
  return {};
}

}  // namespace

struct Server::Impl {
  Impl(Controller& controller, Dataplane& dataplane) : service(controller, dataplane) {}

  ShuntService service;
  std::unique_ptr<grpc::Server> server;  // destroyed before the service it calls
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Server>> Server::Start(const std::string& socket_path, Controller& controller,
                                              Dataplane& dataplane) {
  const auto address = AddressOf(socket_path);
  if (!address) return std::unexpected(address.error());
  if (const auto status = MakeFolder(socket_path); !status) return std::unexpected(status.error());
  if (const auto status = RemoveStaleSocket(socket_path, *address); !status) return std::unexpected(status.error());

  auto impl = std::make_unique<Impl>(controller, dataplane);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(kMaxReplyBytes);
  builder.RegisterService(&impl->service);
  // gRPC listens as soon as it binds, so the mode must be right from the first moment: a chmod would be late.
  const mode_t mask_before = umask(kAllButOwnersReadWrite);
  impl->server = builder.BuildAndStart();
  umask(mask_before);
  if (!impl->server) {
    return Fail(ErrorKind::kSystem,
                fmt::format("socket {}: gRPC could not listen there; is its folder writable?", socket_path));
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() {
  impl_->server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  impl_->server->Wait();
}

}  // namespace shunt

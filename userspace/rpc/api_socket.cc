// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/api_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace shunt {
namespace {

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kAllButOwnerAndGroupReadWrite = 0117;
constexpr int kBacklog = 128;

Status MakeFolder(const std::string& socket_path, const std::optional<ApiSocket::Owner>& owner) {
  const std::string folder = std::filesystem::path(socket_path).parent_path().string();
  if (folder.empty()) return {};
  const std::string doing = fmt::format("creating folder {} for the API's socket", folder);
  if (mkdir(folder.c_str(), kFolderMode) != 0) return errno == EEXIST ? Status() : FailErrno(doing, errno);
  if (owner && chown(folder.c_str(), owner->user, owner->group) != 0) return FailErrno(doing, errno);
  return {};
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

Result<ApiSocket> ApiSocket::Open(const std::string& path, const std::optional<Owner>& owner) {
  const auto address = AddressOf(path);
  if (!address) return std::unexpected(address.error());
  if (auto made = MakeFolder(path, owner); !made) return std::unexpected(made.error());
  if (auto removed = RemoveStaleSocket(path, *address); !removed) return std::unexpected(removed.error());
  const std::string doing = fmt::format("socket {}: listening there", path);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return FailErrno(doing, errno);
  // Mode and group stand before anybody can connect, which takes listen().
  const mode_t mask_before = umask(kAllButOwnerAndGroupReadWrite);
  const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address));
  const int error = errno;
  umask(mask_before);
  if (bound != 0) return FailErrno(doing, error);
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) return FailErrno(doing, errno);
  ApiSocket opened(std::move(fd), path, status.st_ino);
  constexpr auto kSameOwner = static_cast<uid_t>(-1);
  if (owner && owner->group != status.st_gid && chown(path.c_str(), kSameOwner, owner->group) != 0)
    return FailErrno(fmt::format("socket {}: giving it to group {}", path, owner->group), errno);
  if (listen(opened.fd(), kBacklog) != 0) return FailErrno(doing, errno);
  return opened;
}

ApiSocket::~ApiSocket() {
  struct stat status{};
  // Somebody may have put another one there.
  if (!path_.empty() && lstat(path_.c_str(), &status) == 0 && status.st_ino == inode_) unlink(path_.c_str());
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/probe_socket.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace shunt {
namespace {

constexpr uint32_t kIpv4HeaderBytes = 20;
constexpr uint32_t kIpv6HeaderBytes = 40;
constexpr uint32_t kTcpHeaderBytes = 20;
constexpr uint32_t kMinMss = 88;  // the least the kernel takes (TCP_MIN_MSS)

}  // namespace

Status SetRoute(int fd, int family, int type, const ProbeRoute& route) {
  if (route.mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &route.mark, sizeof(route.mark)) != 0)
    return FailErrno("marking the probe's socket", errno);
  if (type != SOCK_STREAM) return {};
  // Closing sends RST: no TIME_WAIT on either side.
  const linger abort{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  // The ACK that completes the handshake waits for data to go with. If none comes, the real sees RST instead, before
  // the program behind the socket has heard of the connection: a tcp check costs it nothing.
  const int off = 0;
  setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
  if (route.max_inner_bytes == 0) return {};
  const uint32_t headers = (family == AF_INET ? kIpv4HeaderBytes : kIpv6HeaderBytes) + kTcpHeaderBytes;
  const uint32_t mss = std::max(route.max_inner_bytes, headers + kMinMss) - headers;
  if (setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) != 0)
    return FailErrno("limiting the probe's segments to " + std::to_string(mss) + " bytes", errno);
  return {};
}

Result<UniqueFd> OpenProbeSocket(int family, int type, const ProbeRoute& route) {
  UniqueFd fd(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FailErrno("opening a socket", errno);
  if (auto set = SetRoute(fd.get(), family, type, route); !set) return std::unexpected(set.error());
  return fd;
}

Result<bool> ConnectProbe(int fd, const SocketAddress& to) {
  if (connect(fd, to.get(), to.length) == 0) return true;
  if (errno == EINPROGRESS) return false;
  return FailErrno("connect", errno);
}

std::string ErrnoCause(std::string_view doing, int error_number) {
  return FailErrno(doing, error_number).error().message;
}

int TakeSocketError(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

}  // namespace shunt

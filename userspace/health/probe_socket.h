// SPDX-License-Identifier: Apache-2.0
// Sockets of probes: opened with the mark that takes their packets through the tunnel. Used by the probers and by what
// they share.
#pragma once

#include <sys/socket.h>

#include <string>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"
#include "userspace/health/probe.h"
#include "userspace/net/socket_address.h"

namespace shunt {

// Not blocking, ready to connect. `type`: SOCK_STREAM, SOCK_DGRAM.
Result<UniqueFd> OpenProbeSocket(int family, int type, const ProbeRoute& route);

// What OpenProbeSocket() sets, for a socket that a library opened.
Status SetRoute(int fd, int family, int type, const ProbeRoute& route);

// True: connected; false: on the way.
Result<bool> ConnectProbe(int fd, const SocketAddress& to);

// "doing: the words for an errno value"
std::string ErrnoCause(std::string_view doing, int error_number);
// The error that the kernel holds for a socket; 0: none.
int TakeSocketError(int fd);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// An address and a port as the socket calls want them: of the address's own family, IPv4 not as IPv6.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "userspace/net/address.h"

namespace shunt {

struct SocketAddress {
  SocketAddress(const IpAddress& address, uint16_t port);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }

  sockaddr_storage storage{};
  socklen_t length = 0;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/socket_address.h"

#include <cstring>

namespace shunt {

SocketAddress::SocketAddress(const IpAddress& address, uint16_t port) {
  if (address.family() == Family::kIpv4) {
    auto* ipv4 = reinterpret_cast<sockaddr_in*>(&storage);
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons(port);
    const auto bytes = address.ipv4();
    std::memcpy(&ipv4->sin_addr, bytes.data(), bytes.size());
    length = sizeof(sockaddr_in);
  } else {
    auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&storage);
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(port);
    std::memcpy(&ipv6->sin6_addr, address.bytes().data(), address.bytes().size());
    length = sizeof(sockaddr_in6);
  }
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// For the tests of what is told over HTTP: a request as a program makes it that takes the path as it is.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "userspace/base/unique_fd.h"

namespace shunt::testing {

// The whole answer of a server on 127.0.0.1.
inline std::string HttpGet(uint16_t port, const std::string& path) {
  const UniqueFd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  const std::string request = fmt::format("GET {} HTTP/1.0\r\n\r\n", path);
  REQUIRE(write(connection.get(), request.data(), request.size()) == static_cast<ssize_t>(request.size()));
  std::string answer;
  char block[4096];
  for (ssize_t got = 0; (got = read(connection.get(), block, sizeof(block))) > 0;) {
    answer.append(block, static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace shunt::testing

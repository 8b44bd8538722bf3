// SPDX-License-Identifier: Apache-2.0
// What came back from a real, judged as bytes: DNS messages, datagrams, the body of gRPC's health service. Anybody may
// have written it. Pure; each function tells why the answer fails, in one line, or nothing: it passes.
// Called by probe_dns.cc, probe_udp.cc and probe_grpc.cc. Not here: sockets and time limits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace shunt {

inline constexpr size_t kDnsHeaderBytes = 12;
inline constexpr size_t kGrpcHeaderBytes = 5;  // in front of each message: not compressed, and its length

// Of a message that has a header: it tells of no error and holds `expected`, an address, unless that is empty.
std::string DnsProblem(std::string_view message, const std::string& expected);

// The answer begins with `expected`.
std::string UdpProblem(std::string_view answer, std::string_view expected);

// The body is one message of grpc.health.v1.Health, and says SERVING.
std::string GrpcHealthProblem(std::string_view body);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/probe_answers.h"

#include <ares.h>
#include <fmt/format.h>

#include <array>
#include <cstring>

#include "userspace/base/text.h"
#include "userspace/health/grpc_health.pb.h"
#include "userspace/net/address.h"

namespace shunt {
namespace {

using grpc::health::v1::HealthCheckResponse;

constexpr int kMaxAddresses = 64;  // of an answer that are looked at
constexpr std::string_view kRcodeNames[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};

bool HoldsAddress(std::string_view text, const IpAddress& wanted) {
  const auto* message = reinterpret_cast<const unsigned char*>(text.data());
  const int bytes = static_cast<int>(text.size());
  int count = kMaxAddresses;
  if (wanted.family() == Family::kIpv4) {
    std::array<ares_addrttl, kMaxAddresses> found{};
    if (ares_parse_a_reply(message, bytes, nullptr, found.data(), &count) != ARES_SUCCESS) return false;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      if (std::memcmp(&found[i].ipaddr, wanted.ipv4().data(), 4) == 0) return true;
    }
  } else {
    std::array<ares_addr6ttl, kMaxAddresses> found{};
    if (ares_parse_aaaa_reply(message, bytes, nullptr, found.data(), &count) != ARES_SUCCESS) return false;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      if (std::memcmp(&found[i].ip6addr, wanted.bytes().data(), 16) == 0) return true;
    }
  }
  return false;
}

// The message in a body that is one frame, and nothing else.
bool ReadFrame(std::string_view body, HealthCheckResponse& response) {
  if (body.size() < kGrpcHeaderBytes || body[0] != 0) return false;
  size_t length = 0;
  for (size_t i = 1; i < kGrpcHeaderBytes; ++i) length = length << 8 | static_cast<uint8_t>(body[i]);
  return body.size() == kGrpcHeaderBytes + length &&
         response.ParseFromArray(body.data() + kGrpcHeaderBytes, static_cast<int>(length));
}

}  // namespace

std::string DnsProblem(std::string_view message, const std::string& expected) {
  const size_t rcode = static_cast<uint8_t>(message[3]) & 0xf;
  if (rcode != 0) {
    return rcode < std::size(kRcodeNames) ? fmt::format("rcode {}", kRcodeNames[rcode])
                                          : fmt::format("rcode {}", rcode);
  }
  if (expected.empty()) return {};
  const auto wanted = IpAddress::Parse(expected);
  if (wanted && HoldsAddress(message, *wanted)) return {};
  return "the answer does not hold " + expected;
}

std::string UdpProblem(std::string_view answer, std::string_view expected) {
  if (answer.starts_with(expected)) return {};
  return "the answer " + Quote(answer) + " does not begin with " + Quote(expected);
}

std::string GrpcHealthProblem(std::string_view body) {
  HealthCheckResponse response;
  if (!ReadFrame(body, response)) return "the answer is not that of grpc.health.v1.Health";
  if (response.status() == HealthCheckResponse::SERVING) return {};
  const std::string& name = HealthCheckResponse::ServingStatus_Name(response.status());
  return name.empty() ? fmt::format("unknown serving status {}", static_cast<int>(response.status())) : name;
}

}  // namespace shunt

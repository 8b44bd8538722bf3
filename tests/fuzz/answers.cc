// SPDX-License-Identifier: Apache-2.0
// Answers to probes, which anybody may have written: the first byte says to which kind (DNS, UDP, gRPC), the first line
// behind it what is expected, the rest is the answer. It passes only if what is expected stands in it; if not, the
// cause is one short line.
#include <algorithm>

#include "tests/fuzz/fuzzing.h"
#include "userspace/health/probe_answers.h"
#include "userspace/net/address.h"

namespace shunt {
namespace {

constexpr size_t kLongestCause = 700;  // two quotes of 80 characters, each of which may be written as four

void Describes(const std::string& problem) {
  Require(problem.size() < kLongestCause, "a cause is short", problem);
  Require(std::ranges::all_of(problem, [](char c) { return c >= 0x20 && c < 0x7f; }), "a cause is one line", problem);
}

void Dns(std::string_view message, const std::string& expected) {
  const auto wanted = IpAddress::Parse(expected);
  if (message.size() < kDnsHeaderBytes || (!wanted && !expected.empty())) return;  // the prober, and the store
  const std::string problem = DnsProblem(message, expected);
  Describes(problem);
  if (!problem.empty()) return;
  Require((message[3] & 0xf) == 0, "an answer that passes tells of no error");
  if (!wanted) return;
  const IpAddress::Bytes bytes = wanted->bytes();
  const auto* first = bytes.begin() + (wanted->family() == Family::kIpv4 ? 12 : 0);
  Require(std::ranges::search(
              message, std::ranges::subrange(first, bytes.end()),
              [](char a, uint8_t b) {
                return static_cast<uint8_t>(a) == b;
              }).begin() != message.end(),
          "an address that is found stands in the answer", expected);
}

void Udp(std::string_view answer, const std::string& expected) {
  const std::string problem = UdpProblem(answer, expected);
  Describes(problem);
  Require(problem.empty() == (answer.substr(0, expected.size()) == expected), "an answer passes if it begins so");
}

void Grpc(std::string_view body) {
  const std::string problem = GrpcHealthProblem(body);
  Describes(problem);
  // The shortest that says SERVING: a frame's header, and the field 1 with the value 1.
  Require(!problem.empty() || (body.size() >= 7 && body[0] == 0), "a body that passes has a message");
}

}  // namespace
}  // namespace shunt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  if (size == 0) return 0;
  Lines lines(data + 1, size - 1);
  const std::string expected = lines.Next();
  const std::string answer(lines.rest());  // a copy that ends where its bytes end
  switch (data[0] % 3) {
    case 0:
      Dns(answer, expected);
      break;
    case 1:
      Udp(answer, expected);
      break;
    default:
      Grpc(answer);
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// gRPC: the standard service grpc.health.v1.Health is asked (Check). One call over libcurl's HTTP/2, with protobuf's
// messages in gRPC's frame, rather than by the gRPC library: that opens its sockets itself, without the mark that takes
// the probe through the tunnel, and one that it is handed (CreateInsecureChannelFromFd) it uses only without TLS.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/health/curl_multi.h"
#include "userspace/health/grpc_health.pb.h"
#include "userspace/health/probe_answers.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"

namespace shunt {
namespace {

using grpc::health::v1::HealthCheckRequest;

constexpr std::string_view kStatusNames[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::string MakeFrame(const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  const std::string message = request.SerializeAsString();
  std::string frame(kGrpcHeaderBytes, '\0');
  for (size_t i = 0; i < 4; ++i) frame[1 + i] = static_cast<char>(message.size() >> (8 * (3 - i)) & 0xff);
  return frame + message;
}

// The value if `line` is the header `name` (in lower case, as HTTP/2 has them).
std::optional<std::string_view> HeaderValue(std::string_view line, std::string_view name) {
  if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") return std::nullopt;
  line.remove_prefix(name.size() + 1);
  const auto first = line.find_first_not_of(" \t");
  const auto last = line.find_last_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : line.substr(first, last - first + 1);
}

class GrpcProber : public TimedProber {
 public:
  GrpcProber(const ProbeTarget& target, EventLoop& loop, CurlMulti& curl, OnOutcome done)
      : TimedProber(loop, std::move(done)),
        request_(MakeFrame(target.check.grpc_service)),
        curl_(curl, target, target.check.tls, [this](CURLcode code) { Judge(code); }) {
    CURL* const easy = curl_.easy();
    curl_.SpeakHttp2(target.check.tls);
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, "/grpc.health.v1.Health/Check");
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request_.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.data());
    curl_.AddHeader("Content-Type: application/grpc");
    curl_.AddHeader("TE: trailers");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &GrpcProber::TakeBody);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &GrpcProber::TakeHeader);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  }

  uint32_t sockets() const override { return curl_.sockets(); }

 protected:
  void Ask(const ProbeRoute& route, std::chrono::milliseconds) override {
    body_.clear();
    grpc_status_.reset();
    curl_.Start(route);
  }

  void End(bool) override { curl_.Stop(); }

 private:
  static size_t TakeBody(const char* data, size_t, size_t bytes, void* self) {
    auto* prober = static_cast<GrpcProber*>(self);
    if (bytes > kMaxBodyBytes - prober->body_.size()) return 0;
    prober->body_.append(data, bytes);
    return bytes;
  }

  // Trailers too; an answer without a body has the status in its only headers.
  static size_t TakeHeader(const char* data, size_t, size_t bytes, void* self) {
    const auto value = HeaderValue({data, bytes}, "grpc-status");
    if (value) static_cast<GrpcProber*>(self)->grpc_status_ = ParseDecimal(*value, 999).value_or(2);  // 2: UNKNOWN
    return bytes;
  }

  void Judge(CURLcode code) {
    if (code == CURLE_WRITE_ERROR) return Fail("the answer is not that of grpc.health.v1.Health");
    if (code != CURLE_OK) return Fail(curl_.Cause(code));
    long version = 0, status = 0;
    curl_easy_getinfo(curl_.easy(), CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(curl_.easy(), CURLINFO_RESPONSE_CODE, &status);
    if (version != CURL_HTTP_VERSION_2_0) return Fail("the server does not speak HTTP/2");
    if (status != 200) return Fail(fmt::format("status {}, expected 200", status));
    if (!grpc_status_) return Fail("the answer has no grpc-status");
    if (*grpc_status_ != 0) {
      const auto name = *grpc_status_ < std::size(kStatusNames) ? kStatusNames[*grpc_status_] : "not a known one";
      return Fail(fmt::format("grpc-status {} ({})", *grpc_status_, name));
    }
    std::string problem = GrpcHealthProblem(body_);
    if (problem.empty()) return Pass();
    Fail(std::move(problem));
  }

  const std::string request_;  // before curl_, which reads it
  CurlTarget curl_;
  std::string body_;
  std::optional<uint32_t> grpc_status_;
};

}  // namespace

std::unique_ptr<Prober> MakeGrpcProber(const ProbeTarget& target, EventLoop& loop, CurlMulti& curl, OnOutcome done) {
  return std::make_unique<GrpcProber>(target, loop, curl, std::move(done));
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 with and without TLS, and HTTP/2: one request, on the connection of the probe before if it still stands. The
// status decides, and the first kMaxBodyBytes of the body.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/health/curl_multi.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"

namespace shunt {
namespace {

bool UsesTls(const HealthCheck& check) {
  return check.kind == CheckKind::kHttps || (check.kind == CheckKind::kHttp2 && check.tls);
}

class HttpProber : public TimedProber {
 public:
  HttpProber(const ProbeTarget& target, EventLoop& loop, CurlMulti& curl, OnOutcome done)
      : TimedProber(loop, std::move(done)),
        check_(target.check),
        curl_(curl, target, UsesTls(check_), [this](CURLcode code) { Judge(code); }) {
    CURL* const easy = curl_.easy();
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    if (check_.kind == CheckKind::kHttp2) curl_.SpeakHttp2(check_.tls);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, check_.method.c_str());
    curl_easy_setopt(easy, CURLOPT_NOBODY, check_.method == "HEAD" ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, check_.path.c_str());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpProber::TakeBody);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  }

  uint32_t sockets() const override { return curl_.sockets(); }

 protected:
  void Ask(const ProbeRoute& route, std::chrono::milliseconds) override {
    body_.clear();
    body_bytes_ = 0;
    curl_.Start(route);
  }

  void End(bool) override { curl_.Stop(); }

 private:
  // Kept as a whole, so that it does not matter in which pieces the text that is looked for comes.
  static size_t TakeBody(const char* data, size_t, size_t bytes, void* self) {
    auto* prober = static_cast<HttpProber*>(self);
    const size_t taken = std::min(bytes, kMaxBodyBytes - prober->body_bytes_);
    if (!prober->check_.body.empty()) prober->body_.append(data, taken);
    prober->body_bytes_ += taken;
    return taken;  // fewer than there are: the rest is not read, and the connection is closed
  }

  void Judge(CURLcode code) {
    const bool read_enough = code == CURLE_WRITE_ERROR && body_bytes_ == kMaxBodyBytes;
    if (code != CURLE_OK && !read_enough) return Fail(curl_.Cause(code));
    long version = 0, status = 0;
    curl_easy_getinfo(curl_.easy(), CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(curl_.easy(), CURLINFO_RESPONSE_CODE, &status);
    if (check_.kind == CheckKind::kHttp2 && version != CURL_HTTP_VERSION_2_0)
      return Fail("the server does not speak HTTP/2");
    const bool expected = std::ranges::any_of(
        check_.status, [=](StatusRange range) { return range.first <= status && status <= range.last; });
    if (!expected) return Fail(fmt::format("status {}, expected {}", status, ExpectedStatus()));
    if (body_.find(check_.body) == std::string::npos) return Fail("the answer does not hold " + Quote(check_.body));
    Pass();
  }

  std::string ExpectedStatus() const {
    std::string words;
    for (const auto& [first, last] : check_.status) {
      if (!words.empty()) words += ", ";
      words += first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
    }
    return words;
  }

  const HealthCheck check_;
  CurlTarget curl_;
  std::string body_;  // if something is looked for in it
  size_t body_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Prober> MakeHttpProber(const ProbeTarget& target, EventLoop& loop, CurlMulti& curl, OnOutcome done) {
  return std::make_unique<HttpProber>(target, loop, curl, std::move(done));
}

}  // namespace shunt

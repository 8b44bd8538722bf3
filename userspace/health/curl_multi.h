// SPDX-License-Identifier: Apache-2.0
// libcurl on the checker's event loop: CurlMulti, which a number of HTTP and gRPC targets share; CurlMultis, as many of
// these as the targets need; CurlTarget, one target's handle with a kept connection of its own. Not here: what is asked
// and what counts as an answer (probe_http.cc, probe_grpc.cc).
#pragma once

#include <curl/curl.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "userspace/health/event_loop.h"
#include "userspace/health/probe.h"

namespace shunt {

class CurlTarget;

class CurlMulti {
 public:
  explicit CurlMulti(EventLoop& loop);
  ~CurlMulti();
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

 private:
  friend class CurlTarget;
  friend class CurlMultis;
  struct Free {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  static int OnSocket(CURL* easy, curl_socket_t fd, int what, void* self, void* socket_data);
  static int OnTimer(CURLM* multi, long timeout_ms, void* self);
  void Act(curl_socket_t fd, int events);

  EventLoop& loop_;
  EventLoop::TimerId timer_ = 0;
  uint64_t last_identity_ = 0;
  size_t targets_ = 0;
  std::unique_ptr<CURLM, Free> multi_;  // last: destroying it calls back
};

// As many as are needed: libcurl (7.88) looks at all kept connections of a multi handle whenever a transfer ends, so
// ten thousand targets on one would cost some hundred times as much.
class CurlMultis {
 public:
  static constexpr size_t kTargetsEach = 128;

  explicit CurlMultis(EventLoop& loop) : loop_(loop) {}

  CurlMulti& ForOneMore();  // has room for another target

 private:
  EventLoop& loop_;
  std::vector<std::unique_ptr<CurlMulti>> multis_;
};

class CurlTarget {
 public:
  using Done = std::function<void(CURLcode)>;

  // Sets all that does not belong to one protocol: URL, TLS, no proxy, no redirects. `multi` outlives it.
  CurlTarget(CurlMulti& multi, const ProbeTarget& target, bool tls, Done done);
  ~CurlTarget();
  CurlTarget(const CurlTarget&) = delete;
  CurlTarget& operator=(const CurlTarget&) = delete;

  CURL* easy() { return easy_.get(); }
  // Before the first Start():
  void AddHeader(const std::string& line);
  void SpeakHttp2(bool tls);

  // `done` is told when the transfer ends, never from within; it may destroy this.
  void Start(const ProbeRoute& route);
  void Stop();     // if one is under way; its connection is closed
  void Abandon();  // connections of before will not be used again

  uint32_t sockets() const { return static_cast<uint32_t>(sockets_.size()); }
  std::string Cause(CURLcode code) const;  // why a transfer failed, in the words of an outcome

 private:
  friend class CurlMulti;
  struct Free {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  // libcurl does not tell of all that it closes (of none, while it connects): the cookie tells a socket of ours from
  // another that has its number now.
  struct Socket {
    curl_socket_t fd = -1;
    uint64_t cookie = 0;
  };

  static curl_socket_t OpenSocket(void* self, curlsocktype purpose, curl_sockaddr* address);
  void SetTls(const HealthCheck& check, bool named);
  void TakeIdentity();
  void ForgetClosed();
  void Ended();

  CurlMulti& multi_;
  const ProbeTarget target_;
  const Done done_;
  ProbeRoute route_;
  std::vector<Socket> sockets_;  // more than one only while an old one goes
  bool under_way_ = false;
  std::string open_failure_;  // why OpenSocket could not
  std::array<char, CURL_ERROR_SIZE> words_{};
  std::unique_ptr<curl_slist, Free> headers_, connect_to_;
  std::unique_ptr<CURL, Free> easy_;
};

}  // namespace shunt

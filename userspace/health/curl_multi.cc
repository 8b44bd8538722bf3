// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/curl_multi.h"

#include <fmt/format.h>
#include <openssl/x509.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/base/unique_fd.h"
#include "userspace/health/probe_socket.h"

namespace shunt {
namespace {

constexpr long kBufferBytes = 4096;        // each target has one: an answer is short
constexpr long kMaxConnections = 1 << 20;  // the bound that counts is the number of targets: each has at most one

void InitializeOnce() {
  static const CURLcode kInitialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)kInitialized;
}

// 0: no socket (of the families that have one).
uint64_t CookieOf(int fd) {
  uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

std::string HostInUrl(const std::string& name, const IpAddress& address) {
  if (!name.empty()) return name;
  return address.family() == Family::kIpv4 ? address.ToString() : "[" + address.ToString() + "]";
}

}  // namespace

CurlMulti::CurlMulti(EventLoop& loop) : loop_(loop) {
  InitializeOnce();
  multi_.reset(curl_multi_init());
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, &CurlMulti::OnSocket);
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, &CurlMulti::OnTimer);
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, kMaxConnections);
}

CurlMulti::~CurlMulti() {
  multi_.reset();
  loop_.Cancel(timer_);
}

int CurlMulti::OnSocket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  auto* multi = static_cast<CurlMulti*>(self);
  if (what == CURL_POLL_REMOVE) {
    multi->loop_.Unwatch(fd);
    return 0;
  }
  const uint32_t wanted = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0u);
  // One that cannot be watched (the kernel's limit of them) makes its probe time out; telling libcurl would end all.
  (void)multi->loop_.Watch(fd, wanted, [multi, fd](uint32_t events) {
    int seen = 0;
    if ((events & (EPOLLIN | EPOLLHUP)) != 0) seen |= CURL_CSELECT_IN;
    if ((events & EPOLLOUT) != 0) seen |= CURL_CSELECT_OUT;
    if ((events & EPOLLERR) != 0) seen |= CURL_CSELECT_ERR;
    multi->Act(fd, seen);
  });
  return 0;
}

int CurlMulti::OnTimer(CURLM*, long timeout_ms, void* self) {
  auto* multi = static_cast<CurlMulti*>(self);
  multi->loop_.Cancel(multi->timer_);
  multi->timer_ = 0;
  if (timeout_ms < 0) return 0;
  const auto when = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  multi->timer_ = multi->loop_.At(when, [multi] {
    multi->timer_ = 0;
    multi->Act(CURL_SOCKET_TIMEOUT, 0);
  });
  return 0;
}

void CurlMulti::Act(curl_socket_t fd, int events) {
  int running = 0;
  curl_multi_socket_action(multi_.get(), fd, events, &running);
  // Outside of all callbacks of libcurl, so that what is told may end, begin and destroy transfers.
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    void* ended = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
    auto* target = static_cast<CurlTarget*>(ended);
    curl_multi_remove_handle(multi_.get(), target->easy());
    target->Ended();
    const CurlTarget::Done done = target->done_;  // the target may be gone before it returns
    done(code);
  }
}

CurlMulti& CurlMultis::ForOneMore() {
  for (const auto& multi : multis_) {
    if (multi->targets_ < kTargetsEach) return *multi;
  }
  return *multis_.emplace_back(std::make_unique<CurlMulti>(loop_));
}

CurlTarget::CurlTarget(CurlMulti& multi, const ProbeTarget& target, bool tls, Done done)
    : multi_(multi), target_(target), done_(std::move(done)), easy_(curl_easy_init()) {
  ++multi_.targets_;
  const HealthCheck& check = target.check;
  const std::string& name = tls && !check.tls_name.empty() ? check.tls_name : check.host;
  curl_easy_setopt(easy(), CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy(), CURLOPT_ERRORBUFFER, words_.data());
  curl_easy_setopt(easy(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy(), CURLOPT_PROXY, "");  // neither the environment's
  curl_easy_setopt(easy(), CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy(), CURLOPT_DNS_CACHE_TIMEOUT, 0L);  // nothing is looked up
  curl_easy_setopt(easy(), CURLOPT_USERAGENT, "shunt-health");
  curl_easy_setopt(easy(), CURLOPT_BUFFERSIZE, kBufferBytes);
  curl_easy_setopt(easy(), CURLOPT_OPENSOCKETFUNCTION, &CurlTarget::OpenSocket);
  curl_easy_setopt(easy(), CURLOPT_OPENSOCKETDATA, this);
  const std::string url =
      fmt::format("{}://{}:{}/", tls ? "https" : "http", HostInUrl(name, target.destination), target.port);
  curl_easy_setopt(easy(), CURLOPT_URL, url.c_str());
  if (tls) SetTls(check, !name.empty());
  if (!check.host.empty()) AddHeader("Host: " + check.host);
  TakeIdentity();
}

CurlTarget::~CurlTarget() {
  Stop();
  Abandon();
  --multi_.targets_;
}

void CurlTarget::SetTls(const HealthCheck& check, bool named) {
  const auto set_file = [this](CURLoption option, const std::string& file) {
    if (!file.empty()) curl_easy_setopt(easy(), option, file.c_str());
  };
  curl_easy_setopt(easy(), CURLOPT_SSL_VERIFYPEER, check.tls_verify ? 1L : 0L);
  curl_easy_setopt(easy(), CURLOPT_SSL_VERIFYHOST, check.tls_verify && named ? 2L : 0L);
  set_file(CURLOPT_CAINFO, check.tls_ca);
  if (!check.tls_ca.empty()) curl_easy_setopt(easy(), CURLOPT_CAPATH, nullptr);  // that file and nothing else
  set_file(CURLOPT_SSLCERT, check.tls_certificate);
  set_file(CURLOPT_SSLKEY, check.tls_key);
}

// All reals of a VIP have one address and port through the tunnel, and libcurl would take the kept connection of one
// for another. So each target "connects to" an address of its own, which stands for it in libcurl's cache and nowhere
// else: OpenSocket() puts the true one in its place. 100::/64 is nobody's (RFC 6666).
void CurlTarget::TakeIdentity() {
  const uint64_t identity = ++multi_.last_identity_;
  const std::string to = fmt::format("::[100::{:x}:{:x}:{:x}:{:x}]:", identity >> 48 & 0xffff, identity >> 32 & 0xffff,
                                     identity >> 16 & 0xffff, identity & 0xffff);
  connect_to_.reset(curl_slist_append(nullptr, to.c_str()));
  curl_easy_setopt(easy(), CURLOPT_CONNECT_TO, connect_to_.get());
}

void CurlTarget::AddHeader(const std::string& line) {
  headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
  curl_easy_setopt(easy(), CURLOPT_HTTPHEADER, headers_.get());
}

void CurlTarget::SpeakHttp2(bool tls) {
  const long version = tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
  curl_easy_setopt(easy(), CURLOPT_HTTP_VERSION, version);
  // 7.88 fails when it uses such a connection again (curl issue 10634): each probe gets a new one.
  const unsigned int library = curl_version_info(CURLVERSION_NOW)->version_num;
  if (!tls && library >= 0x075800 && library <= 0x075801) curl_easy_setopt(easy(), CURLOPT_FORBID_REUSE, 1L);
}

curl_socket_t CurlTarget::OpenSocket(void* self, curlsocktype, curl_sockaddr* address) {
  auto* target = static_cast<CurlTarget*>(self);
  const SocketAddress to(target->target_.destination, target->target_.port);
  auto fd = OpenProbeSocket(to.family(), address->socktype, target->route_);
  if (!fd) {
    target->open_failure_ = fd.error().message;
    return CURL_SOCKET_BAD;
  }
  // The structure ends in room for any address (curl_sockaddr, "addr").
  address->family = to.family();
  address->addrlen = to.length;
  std::memcpy(&address->addr, to.get(), to.length);
  target->sockets_.push_back({.fd = fd->get(), .cookie = CookieOf(fd->get())});
  return fd->Release();
}

void CurlTarget::Start(const ProbeRoute& route) {
  if (route != route_) Abandon();
  route_ = route;
  open_failure_.clear();
  words_[0] = '\0';
  under_way_ = true;
  curl_multi_add_handle(multi_.multi_.get(), easy());
}

void CurlTarget::Stop() {
  if (!under_way_) return;
  curl_multi_remove_handle(multi_.multi_.get(), easy());
  Ended();
  Abandon();  // HTTP/2 would keep it, silent or not
}

void CurlTarget::Abandon() {
  ForgetClosed();
  if (sockets_.empty()) return;
  for (const Socket& socket : sockets_) shutdown(socket.fd, SHUT_RDWR);  // libcurl finds it dead and closes it
  TakeIdentity();
}

void CurlTarget::Ended() {
  under_way_ = false;
  ForgetClosed();
}

void CurlTarget::ForgetClosed() {
  std::erase_if(sockets_, [](const Socket& socket) { return CookieOf(socket.fd) != socket.cookie; });
}

std::string CurlTarget::Cause(CURLcode code) const {
  if (!open_failure_.empty()) return open_failure_;
  long error = 0, verified = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &error);
  curl_easy_getinfo(easy_.get(), CURLINFO_SSL_VERIFYRESULT, &verified);
  const auto with_errno = [error](std::string_view doing) {
    if (error == 0) return std::string(doing) + ": the connection broke";
    return ErrnoCause(doing, static_cast<int>(error));
  };
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      return with_errno("connect");
    case CURLE_SEND_ERROR:
      return with_errno("send");
    case CURLE_RECV_ERROR:
      return with_errno("receive");
    case CURLE_GOT_NOTHING:
      return "the connection was closed without an answer";
    case CURLE_PARTIAL_FILE:
      return "the connection was closed within the answer";
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9, which is what libcurl takes any text for
    case CURLE_WEIRD_SERVER_REPLY:
      return "the answer is not HTTP";
    case CURLE_PEER_FAILED_VERIFICATION: {
      // The chain's result; libcurl compares the name itself, without one.
      const bool chain = verified != X509_V_OK && verified != X509_V_ERR_UNSPECIFIED;
      return std::string("certificate: ") +
             X509_verify_cert_error_string(chain ? verified : X509_V_ERR_HOSTNAME_MISMATCH);
    }
    case CURLE_SSL_CACERT_BADFILE:
      return "certificate: cannot read " + Quote(target_.check.tls_ca);
    case CURLE_SSL_CERTPROBLEM:
      return fmt::format("certificate: cannot use {} with key {}", Quote(target_.check.tls_certificate),
                         Quote(target_.check.tls_key));
    case CURLE_SSL_CONNECT_ERROR:
      return "TLS handshake: " + Quote(words_.data());
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return std::string("HTTP/2: ") + curl_easy_strerror(code);
    default:
      return curl_easy_strerror(code);
  }
}

}  // namespace shunt

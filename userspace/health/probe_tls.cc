// SPDX-License-Identifier: Apache-2.0
// TLS: a handshake succeeds, with a certificate that is trusted and has the name. Nothing is sent after it; a server
// that refuses the client's certificate only then (TLS 1.3) still passes: ask it with an https check.
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>

#include <memory>
#include <string>
#include <utility>

#include "userspace/base/unique_fd.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"
#include "userspace/health/probe_socket.h"
#include "userspace/health/tls_context.h"

namespace shunt {
namespace {

class TlsProber : public TimedProber {
 public:
  TlsProber(const ProbeTarget& target, EventLoop& loop, TlsContexts& contexts, OnOutcome done)
      : TimedProber(loop, std::move(done)),
        to_(target.destination, target.port),
        check_(target.check),
        name_(check_.tls_name.empty() ? check_.host : check_.tls_name),
        contexts_(contexts) {}
  ~TlsProber() override { Close(); }

  uint32_t sockets() const override { return fd_.valid() ? 1 : 0; }

 protected:
  void Ask(const ProbeRoute& route, std::chrono::milliseconds) override {
    const auto context = contexts_.Get(check_, std::chrono::steady_clock::now());
    if (!context) return Fail(context.error().message);
    auto fd = OpenProbeSocket(to_.family(), SOCK_STREAM, route);
    if (!fd) return Fail(fd.error().message);
    fd_ = std::move(*fd);
    tls_.reset(SSL_new(*context));
    if (!tls_ || SSL_set_fd(tls_.get(), fd_.get()) != 1 || !SetName()) return Fail("preparing TLS: out of memory");
    SSL_set_connect_state(tls_.get());
    if (const auto connected = ConnectProbe(fd_.get(), to_); !connected) return Fail(connected.error().message);
    connected_ = false;
    Await(EPOLLOUT);
  }

  void End(bool) override { Close(); }

 private:
  struct Free {
    void operator()(SSL* tls) const { SSL_free(tls); }
  };

  bool SetName() {
    if (name_.empty()) return true;
    if (check_.tls_verify && SSL_set1_host(tls_.get(), name_.c_str()) != 1) return false;
    // SNI has names only (RFC 6066, 3).
    return IpAddress::Parse(name_) || SSL_set_tlsext_host_name(tls_.get(), name_.c_str()) == 1;
  }

  void Await(uint32_t events) {
    const auto watching = loop().Watch(fd_.get(), events, [this](uint32_t) { Continue(); });
    if (!watching) Fail(watching.error().message);
  }

  void Continue() {
    if (!connected_) {
      if (const int error = TakeSocketError(fd_.get()); error != 0) return Fail(ErrnoCause("connect", error));
      connected_ = true;
    }
    ERR_clear_error();
    errno = 0;
    const int done = SSL_do_handshake(tls_.get());
    if (done == 1) return Pass();
    const int error_number = errno;
    switch (const int error = SSL_get_error(tls_.get(), done)) {
      case SSL_ERROR_WANT_READ:
        return Await(EPOLLIN);
      case SSL_ERROR_WANT_WRITE:
        return Await(EPOLLOUT);
      default:
        return Fail(Cause(error, error_number));
    }
  }

  std::string Cause(int error, int error_number) const {
    const long verified = SSL_get_verify_result(tls_.get());
    if (check_.tls_verify && verified != X509_V_OK)
      return std::string("certificate: ") + X509_verify_cert_error_string(verified);
    if (error == SSL_ERROR_SYSCALL && error_number != 0) return ErrnoCause("TLS handshake", error_number);
    const unsigned long code = ERR_peek_last_error();
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING || code == 0)
      return "TLS handshake: the connection was closed";
    const char* const reason = ERR_reason_error_string(code);  // OpenSSL's words, none of the peer's
    return std::string("TLS handshake: ") + (reason ? reason : "unknown error");
  }

  void Close() {
    tls_.reset();
    if (!fd_.valid()) return;
    loop().Unwatch(fd_.get());
    fd_ = UniqueFd();
  }

  const SocketAddress to_;
  const HealthCheck check_;
  const std::string name_;
  TlsContexts& contexts_;
  UniqueFd fd_;
  std::unique_ptr<SSL, Free> tls_;
  bool connected_ = false;
};

}  // namespace

std::unique_ptr<Prober> MakeTlsProber(const ProbeTarget& target, EventLoop& loop, TlsContexts& contexts,
                                      OnOutcome done) {
  return std::make_unique<TlsProber>(target, loop, contexts, std::move(done));
}

}  // namespace shunt

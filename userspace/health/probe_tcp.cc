// SPDX-License-Identifier: Apache-2.0
// TCP: a connection is accepted, by the kernel of the real; nothing is sent on it. Written for ten thousand a second:
// each system call counts.
#include <sys/epoll.h>

#include <utility>

#include "userspace/base/unique_fd.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"
#include "userspace/health/probe_socket.h"

namespace shunt {
namespace {

class TcpProber : public TimedProber {
 public:
  TcpProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done)
      : TimedProber(loop, std::move(done)), to_(target.destination, target.port) {}
  ~TcpProber() override { Close(); }

  uint32_t sockets() const override { return fd_.valid() ? 1 : 0; }

 protected:
  void Ask(const ProbeRoute& route, std::chrono::milliseconds) override {
    // No data: how long a segment may be does not matter.
    auto fd = OpenProbeSocket(to_.family(), SOCK_STREAM, {.mark = route.mark});
    if (!fd) return Fail(fd.error().message);
    fd_ = std::move(*fd);
    const auto connected = ConnectProbe(fd_.get(), to_);
    if (!connected) return Fail(connected.error().message);
    if (*connected) return Pass();
    const auto watching = loop().Watch(fd_.get(), EPOLLOUT, [this](uint32_t events) { Ready(events); });
    if (!watching) Fail(watching.error().message);
  }

  void End(bool) override { Close(); }

 private:
  void Ready(uint32_t events) {
    // One that was accepted and closed at once is accepted: the error is asked only where there is one.
    const int error = (events & EPOLLERR) != 0 ? TakeSocketError(fd_.get()) : 0;
    if (error != 0) return Fail(ErrnoCause("connect", error));
    Pass();
  }

  void Close() {
    if (!fd_.valid()) return;
    loop().Unwatch(fd_.get());
    fd_ = UniqueFd();
  }

  const SocketAddress to_;
  UniqueFd fd_;
};

}  // namespace

std::unique_ptr<Prober> MakeTcpProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done) {
  return std::make_unique<TcpProber>(target, loop, std::move(done));
}

}  // namespace shunt

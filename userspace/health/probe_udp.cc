// SPDX-License-Identifier: Apache-2.0
// UDP: a datagram is sent, and what comes back must begin as expected. A socket, and so a port, of its own for each
// probe: a late answer to the one before is no answer to this one.
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "userspace/base/unique_fd.h"
#include "userspace/health/probe_answers.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"
#include "userspace/health/probe_socket.h"

namespace shunt {
namespace {

constexpr size_t kMaxAnswerBytes = 2048;  // longer than any text that can be expected; the rest is cut

class UdpProber : public TimedProber {
 public:
  UdpProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done)
      : TimedProber(loop, std::move(done)),
        to_(target.destination, target.port),
        send_(target.check.send),
        expect_(target.check.expect) {}
  ~UdpProber() override { Close(); }

  uint32_t sockets() const override { return fd_.valid() ? 1 : 0; }

 protected:
  void Ask(const ProbeRoute& route, std::chrono::milliseconds) override {
    auto fd = OpenProbeSocket(to_.family(), SOCK_DGRAM, route);
    if (!fd) return Fail(fd.error().message);
    fd_ = std::move(*fd);
    // Connected: the kernel drops what others send, and tells what ICMP says of it.
    if (const auto connected = ConnectProbe(fd_.get(), to_); !connected) return Fail(connected.error().message);
    if (send(fd_.get(), send_.data(), send_.size(), MSG_NOSIGNAL) < 0) return Fail(ErrnoCause("send", errno));
    const auto watching = loop().Watch(fd_.get(), EPOLLIN, [this](uint32_t) { Receive(); });
    if (!watching) Fail(watching.error().message);
  }

  void End(bool) override { Close(); }

 private:
  void Receive() {
    std::array<char, kMaxAnswerBytes> buffer;
    const ssize_t bytes = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return;  // a bad checksum, noticed only now
    if (bytes < 0) return Fail(ErrnoCause("receive", errno));
    std::string problem = UdpProblem({buffer.data(), static_cast<size_t>(bytes)}, expect_);
    if (problem.empty()) return Pass();
    Fail(std::move(problem));
  }

  void Close() {
    if (!fd_.valid()) return;
    loop().Unwatch(fd_.get());
    fd_ = UniqueFd();
  }

  const SocketAddress to_;
  const std::string send_, expect_;
  UniqueFd fd_;
};

}  // namespace

std::unique_ptr<Prober> MakeUdpProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done) {
  return std::make_unique<UdpProber>(target, loop, std::move(done));
}

}  // namespace shunt

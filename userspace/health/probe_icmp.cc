// SPDX-License-Identifier: Apache-2.0
// ICMP and ICMPv6: an echo request is answered by the address it was sent to.
#include <utility>

#include "userspace/health/icmp_sockets.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"

namespace shunt {
namespace {

class IcmpProber : public TimedProber {
 public:
  IcmpProber(const ProbeTarget& target, EventLoop& loop, IcmpSockets& sockets, OnOutcome done)
      : TimedProber(loop, std::move(done)), destination_(target.destination), icmp_(sockets) {}
  ~IcmpProber() override { icmp_.Forget(ticket_); }

  uint32_t sockets() const override { return 0; }  // it shares one with all others

 protected:
  void Ask(const ProbeRoute& route, std::chrono::milliseconds) override {
    const auto ticket = icmp_.Send(destination_, route.mark, [this] { Pass(); });
    if (!ticket) return Fail(ticket.error().message);
    ticket_ = *ticket;
  }

  void End(bool) override { icmp_.Forget(std::exchange(ticket_, 0)); }

 private:
  const IpAddress destination_;
  IcmpSockets& icmp_;
  IcmpSockets::Ticket ticket_ = 0;
};

}  // namespace

std::unique_ptr<Prober> MakeIcmpProber(const ProbeTarget& target, EventLoop& loop, IcmpSockets& sockets,
                                       OnOutcome done) {
  return std::make_unique<IcmpProber>(target, loop, sockets, std::move(done));
}

}  // namespace shunt

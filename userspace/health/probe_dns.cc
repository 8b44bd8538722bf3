// SPDX-License-Identifier: Apache-2.0
// DNS: a question is answered without an error, and if wished with a certain address. By c-ares, which keeps a channel
// for each target, asks nobody else and reads no file of this system. An answer cut short is asked for again over TCP.
#include <ares.h>
#include <arpa/nameser.h>
#include <fmt/format.h>
#include <sys/epoll.h>

#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "userspace/health/probe_answers.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"
#include "userspace/health/probe_socket.h"

namespace shunt {
namespace {

int TypeNumber(DnsType type) {
  switch (type) {
    case DnsType::kA:
      return ns_t_a;
    case DnsType::kAaaa:
      return ns_t_aaaa;
    case DnsType::kNs:
      return ns_t_ns;
    case DnsType::kSoa:
      return ns_t_soa;
    case DnsType::kTxt:
      return ns_t_txt;
  }
  return ns_t_ns;
}

// What c-ares told, kept until none of its functions is on the stack.
struct DnsAnswer {
  int status = ARES_SUCCESS;
  std::string message;  // empty: there was none, or none with a header
};

class DnsProber : public TimedProber {
 public:
  DnsProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done)
      : TimedProber(loop, std::move(done)), target_(target) {}
  ~DnsProber() override {
    if (channel_) ares_destroy(channel_);
  }

  uint32_t sockets() const override { return sockets_; }

 protected:
  void Ask(const ProbeRoute& route, std::chrono::milliseconds) override {
    route_ = route;
    if (!channel_ && !OpenChannel()) return Fail("preparing a DNS query: out of memory");
    const HealthCheck& check = target_.check;
    answer_.reset();
    ares_query(channel_, check.dns_name.c_str(), ns_c_in, TypeNumber(check.dns_type), &DnsProber::TakeAnswer, this);
    if (answer_) Judge();
  }

  void End(bool) override {
    if (channel_) ares_cancel(channel_);
  }

 private:
  bool OpenChannel();
  void Watch(int fd, bool readable, bool writable);
  void Judge();

  static void TakeAnswer(void* self, int status, int, unsigned char* message, int bytes) {
    auto* prober = static_cast<DnsProber*>(self);
    prober->answer_ = {.status = status, .message = {}};
    if (message && static_cast<size_t>(bytes) >= kDnsHeaderBytes)
      prober->answer_->message.assign(reinterpret_cast<const char*>(message), static_cast<size_t>(bytes));
  }

  static int SetSocketRoute(int fd, int type, void* self) {
    const auto* prober = static_cast<const DnsProber*>(self);
    const int family = prober->target_.destination.family() == Family::kIpv4 ? AF_INET : AF_INET6;
    return SetRoute(fd, family, type, prober->route_) ? 0 : -1;
  }

  const ProbeTarget target_;
  ProbeRoute route_;
  ares_channel channel_ = nullptr;
  uint32_t sockets_ = 0;
  std::optional<DnsAnswer> answer_;
};

bool DnsProber::OpenChannel() {
  static const int kInitialized = ares_library_init(ARES_LIB_INIT_ALL);
  if (kInitialized != ARES_SUCCESS) return false;
  ares_options options{};
  // All that c-ares would otherwise look for in this system's files. The time limit is the prober's.
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP;
  options.timeout = static_cast<int>(2 * kMaxTimeoutMs);
  options.tries = 1;
  options.ndots = 0;
  char only_dns[] = "b";
  options.lookups = only_dns;
  char no_file[] = "/dev/null";
  options.resolvconf_path = no_file;
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, int fd, int readable, int writable) {
    static_cast<DnsProber*>(self)->Watch(fd, readable != 0, writable != 0);
  };
  const int set = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_LOOKUPS |
                  ARES_OPT_RESOLVCONF | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB;
  if (ares_init_options(&channel_, &options, set) != ARES_SUCCESS) {
    channel_ = nullptr;
    return false;
  }
  ares_set_socket_configure_callback(channel_, &DnsProber::SetSocketRoute, this);
  ares_addr_port_node server{};
  server.udp_port = server.tcp_port = target_.port;
  if (target_.destination.family() == Family::kIpv4) {
    server.family = AF_INET;
    std::memcpy(&server.addr.addr4, target_.destination.ipv4().data(), 4);
  } else {
    server.family = AF_INET6;
    std::memcpy(&server.addr.addr6, target_.destination.bytes().data(), 16);
  }
  if (ares_set_servers_ports(channel_, &server) == ARES_SUCCESS) return true;
  ares_destroy(std::exchange(channel_, nullptr));
  return false;
}

void DnsProber::Watch(int fd, bool readable, bool writable) {
  if (!readable && !writable) {  // about to be closed
    loop().Unwatch(fd);
    sockets_ = 0;
    return;
  }
  sockets_ = 1;
  const uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
  // One that cannot be watched makes the probe time out.
  (void)loop().Watch(fd, events, [this, fd](uint32_t seen) {
    // An error is found by reading.
    const bool can_read = (seen & ~uint32_t{EPOLLOUT}) != 0, can_write = (seen & EPOLLOUT) != 0;
    ares_process_fd(channel_, can_read ? fd : ARES_SOCKET_BAD, can_write ? fd : ARES_SOCKET_BAD);
    if (answer_) Judge();
  });
}

void DnsProber::Judge() {
  const DnsAnswer answer = std::move(*std::exchange(answer_, std::nullopt));
  if (answer.message.empty()) return Fail(fmt::format("query: {}", ares_strerror(answer.status)));
  std::string problem = DnsProblem(answer.message, target_.check.dns_expect);
  if (problem.empty()) return Pass();
  Fail(std::move(problem));
}

}  // namespace

std::unique_ptr<Prober> MakeDnsProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done) {
  return std::make_unique<DnsProber>(target, loop, std::move(done));
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What takes a probe through the tunnel: its mark, short segments, and a connection that no other real's probe uses.
// The servers see the mark of what reaches them (tcp_fwmark_accept, SO_RCVMARK); the tunnel itself is tried in the lab.
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>

#include "tests/probers/asking.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kFirst = 0x80000001, kSecond = 0x80000002;

std::string MarkWords(uint32_t mark) {
  char words[32];
  std::snprintf(words, sizeof(words), "mark %08x.", mark);
  return words;
}

uint32_t MarkOf(int fd) {
  uint32_t mark = 0;
  socklen_t length = sizeof(mark);
  getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &length);
  return mark;
}

// Tells over HTTP which mark its connection came with.
void ServeMark(int fd) {
  while (!ReadRequest(fd).empty()) SendAll(fd, HttpAnswer(200, MarkWords(MarkOf(fd))));
}

ProbeTarget Behind(const std::string& real, uint16_t port, uint32_t mark) {
  ProbeTarget target = Target(CheckKind::kHttp, "127.0.0.1", port);
  target.real = Address(real);
  target.via = ProbeVia::kTunnel;
  target.check.body = MarkWords(mark);
  return target;
}

TEST_CASE("http: two reals behind one VIP never share a connection") {
  Asking asking;
  TcpServer server(ServeMark);
  auto& first = asking.Prober(Behind("10.0.0.11", server.port(), kFirst));
  auto& second = asking.Prober(Behind("10.0.0.12", server.port(), kSecond));
  for (int i = 0; i < 5; ++i) {
    CHECK(asking.Ask(first, milliseconds(5000), {.mark = kFirst}).cause == "");
    CHECK(asking.Ask(second, milliseconds(5000), {.mark = kSecond}).cause == "");
  }
  CHECK(server.accepted() == 2);
  // Nor does a third take over what one of them leaves.
  first.prober.reset();
  auto& third = asking.Prober(Behind("10.0.0.13", server.port(), 0x80000003));
  CHECK(asking.Ask(third, milliseconds(5000), {.mark = 0x80000003}).cause == "");
}

TEST_CASE("http: a connection of before is not used when the mark has changed") {
  Asking asking;
  TcpServer server(ServeMark);
  auto& prober = asking.Prober(Behind("10.0.0.11", server.port(), kSecond));
  CHECK(asking.Ask(prober, milliseconds(5000), {.mark = kFirst}).cause ==
        "the answer does not hold \"mark 80000002.\"");
  CHECK(asking.Ask(prober, milliseconds(5000), {.mark = kSecond}).cause == "");
  CHECK(asking.Ask(prober, milliseconds(5000), {.mark = kSecond}).cause == "");
  CHECK(server.accepted() == 2);
}

TEST_CASE("http: the segments of a connection fit the tunnel") {
  Asking asking;
  std::atomic<int> longest = 0;
  TcpServer server([&](int fd) {
    int mss = 0;
    socklen_t length = sizeof(mss);
    getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &length);
    longest = mss;
    ServeMark(fd);
  });
  auto& prober = asking.Prober(Behind("10.0.0.11", server.port(), kFirst));
  CHECK(asking.Ask(prober, milliseconds(5000), {.mark = kFirst, .max_inner_bytes = 1000}).cause == "");
  CHECK(longest <= 960);
  CHECK(longest > 900);
}

TEST_CASE("udp and dns: datagrams have the mark") {
  Asking asking;
  UdpServer server([](const std::string&, uint32_t mark) { return MarkWords(mark); });
  ProbeTarget target = Target(CheckKind::kUdp, "127.0.0.1", server.port());
  target.check.send = "?";
  target.check.expect = MarkWords(kFirst);
  auto& prober = asking.Prober(target);
  CHECK(asking.Ask(prober, milliseconds(5000), {.mark = kFirst}).cause == "");
  CHECK(asking.Ask(prober, milliseconds(5000), {.mark = kSecond}).passed == false);

  std::atomic<uint32_t> seen = 0;
  UdpServer names([&](const std::string& query, uint32_t mark) {
    seen = mark;
    std::string answer = query;
    answer[2] = static_cast<char>(0x80);
    return answer;
  });
  auto& dns = asking.Prober(Target(CheckKind::kDns, "127.0.0.1", names.port()));
  CHECK(asking.Ask(dns, milliseconds(5000), {.mark = kSecond}).cause == "");
  CHECK(seen == kSecond);
  CHECK(asking.Ask(dns, milliseconds(5000), {.mark = kFirst}).cause == "");
  CHECK(seen == kFirst);
}

// The mark of the echo request that `asked` sends, as this host receives it.
uint32_t EchoMark(Asking& asking, const std::string& address, uint32_t mark) {
  const bool ipv4 = address.find(':') == std::string::npos;
  const UniqueFd raw(
      socket(ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}));
  const int on = 1;
  REQUIRE(setsockopt(raw.get(), SOL_SOCKET, SO_RCVMARK, &on, sizeof(on)) == 0);
  CHECK(asking.Ask(asking.Prober(Target(CheckKind::kIcmp, address, 0)), milliseconds(5000), {.mark = mark}).passed);
  // Request and answer come in any order; the answer has no mark.
  uint32_t seen = 0;
  for (int i = 0; i < 2 && seen == 0; ++i) {
    pollfd waiting{.fd = raw.get(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&waiting, 1, 5000) == 1);
    std::array<char, 512> buffer, control;
    iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    REQUIRE(recvmsg(raw.get(), &message, 0) > 0);
    for (cmsghdr* option = CMSG_FIRSTHDR(&message); option; option = CMSG_NXTHDR(&message, option)) {
      if (option->cmsg_level == SOL_SOCKET && option->cmsg_type == SO_MARK)
        std::memcpy(&seen, CMSG_DATA(option), sizeof(seen));
    }
  }
  return seen;
}

TEST_CASE("icmp: echo requests have the mark, in both families") {
  Asking asking;
  for (const char* address : {"127.0.0.1", "::1"}) {
    INFO(address);
    CHECK(EchoMark(asking, address, kFirst) == kFirst);
    CHECK(EchoMark(asking, address, kSecond) == kSecond);
  }
}

TEST_CASE("tcp and tls: connections have the mark") {
  Asking asking;
  std::atomic<uint32_t> seen = 0;
  TcpServer server([&](int fd) { seen = MarkOf(fd); });
  ProbeTarget target = Target(CheckKind::kTls, "127.0.0.1", server.port());
  target.check.tls_verify = false;
  CHECK_FALSE(asking.Ask(asking.Prober(target), milliseconds(5000), {.mark = kFirst}).passed);
  CHECK(seen == kFirst);
  // A tcp probe is over before the server hears of it, so its SYN is led away by its mark instead.
  Shell("ip rule add lookup local pref 10; ip rule del pref 0; ip rule add fwmark 0x80000002 prohibit pref 1");
  auto& tcp = asking.Prober(Target(CheckKind::kTcp, "127.0.0.1", server.port()));
  CHECK(asking.Ask(tcp, milliseconds(5000), {.mark = kFirst}).passed);
  CHECK_FALSE(asking.Ask(tcp, milliseconds(5000), {.mark = kSecond}).passed);
  Shell("ip rule del pref 1; ip rule add lookup local pref 0; ip rule del pref 10");
}

}  // namespace
}  // namespace shunt

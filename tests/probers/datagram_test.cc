// SPDX-License-Identifier: Apache-2.0
// UDP, DNS and ICMP probes.
#include <catch2/catch.hpp>
#include <csignal>

#include "tests/probers/asking.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

TEST_CASE("udp: an answer that begins as expected passes, another fails, a closed port fails at once") {
  Asking asking;
  UdpServer echo([](const std::string& text, uint32_t) { return text; });
  ProbeTarget target = Target(CheckKind::kUdp, "127.0.0.1", echo.port());
  target.check.send = std::string("ping\0\xff", 6);
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
  target.check.expect = "ping";
  CHECK(asking.Ask(asking.Prober(target)).cause == "");
  target.check.expect = "pong";
  CHECK(asking.Ask(asking.Prober(target)).cause == "the answer \"ping\\x00\\xff\" does not begin with \"pong\"");
  target.port = ClosedPort();
  auto& prober = asking.Prober(target);
  CHECK(asking.Ask(prober).cause == "receive: Connection refused");
  CHECK(prober.prober->sockets() == 0);
}

TEST_CASE("udp: a cause holds little of a long answer") {
  Asking asking;
  UdpServer server([](const std::string&, uint32_t) { return std::string(1400, '\x1b'); });
  ProbeTarget target = Target(CheckKind::kUdp, "127.0.0.1", server.port());
  target.check.send = target.check.expect = "x";
  const std::string cause = asking.Ask(asking.Prober(target)).cause;
  CHECK(cause.size() < 400);
  CHECK(cause.find('\x1b') == std::string::npos);
}

TEST_CASE("udp: silence and slowness fail, and a late answer to one probe is none to the next") {
  Asking asking;
  std::atomic<int> delay_ms = 0;
  std::atomic<int> count = 0;
  UdpServer server([&](const std::string&, uint32_t) {
    std::this_thread::sleep_for(milliseconds(delay_ms));
    return "answer " + std::to_string(++count);
  });
  ProbeTarget target = Target(CheckKind::kUdp, "127.0.0.1", server.port());
  target.check.send = "x";
  target.check.expect = "answer 2";
  auto& prober = asking.Prober(target);
  delay_ms = 100;
  CHECK(asking.Ask(prober, milliseconds(30)).cause == "no answer within 30 ms");
  delay_ms = 0;
  CHECK(asking.Ask(prober).cause == "");

  auto& silent = asking.Prober(Target(CheckKind::kUdp, kSilent, 53));
  CHECK(asking.Ask(silent, milliseconds(30)).cause == "no answer within 30 ms");
}

// A name server that knows one name.
struct NameServer {
  NameServer() { Run(); }
  void Run() {
    program.emplace(std::vector<std::string>{"/usr/sbin/dnsmasq",
                                             "--keep-in-foreground",
                                             "--no-resolv",
                                             "--no-hosts",
                                             "--conf-file=/dev/null",
                                             "--pid-file=",
                                             "--user=root",
                                             "--group=root",
                                             "--log-facility=" + folder.File("log"),
                                             "--bind-interfaces",
                                             "--listen-address=127.0.0.1",
                                             "--listen-address=::1",
                                             "--no-daemon",
                                             "--port=" + std::to_string(port),
                                             "--address=/real.example/192.0.2.7",
                                             "--address=/real.example/2001:db8::7",
                                             "--address=/nothing.example/",
                                             "--host-record=four.example,192.0.2.9",
                                             "--local=/example/",
                                             "--txt-record=long.example," + Long()});
    REQUIRE(Listens("127.0.0.1", port));
  }
  // More than fits a datagram without EDNS.
  static std::string Long() {
    std::string text;
    for (int i = 0; i < 6; ++i) text += (i == 0 ? "" : ",") + std::string(200, 'x');
    return text;
  }
  ProbeTarget Probe(const std::string& name, DnsType type, const std::string& expect = "") const {
    ProbeTarget target = Target(CheckKind::kDns, "127.0.0.1", port);
    target.check.dns_name = name;
    target.check.dns_type = type;
    target.check.dns_expect = expect;
    return target;
  }
  TemporaryFolder folder;
  uint16_t port = ClosedPort();
  std::optional<Program> program;
};

TEST_CASE("dns: answers without an error pass, with the expected address if there is one") {
  Asking asking;
  const NameServer server;
  const auto cause = [&](const ProbeTarget& target) { return asking.Ask(asking.Prober(target)).cause; };
  CHECK(cause(server.Probe("real.example", DnsType::kA)) == "");
  CHECK(cause(server.Probe("real.example", DnsType::kA, "192.0.2.7")) == "");
  CHECK(cause(server.Probe("real.example", DnsType::kA, "192.0.2.8")) == "the answer does not hold 192.0.2.8");
  CHECK(cause(server.Probe("real.example", DnsType::kAaaa, "2001:db8::7")) == "");
  CHECK(cause(server.Probe("real.example", DnsType::kAaaa, "2001:db8::8")) == "the answer does not hold 2001:db8::8");
  CHECK(cause(server.Probe("four.example", DnsType::kAaaa)) == "");  // no error, and no record
  CHECK(cause(server.Probe("nothing.example", DnsType::kA)) == "rcode NXDOMAIN");
  CHECK(cause(server.Probe("elsewhere.test", DnsType::kA)) == "rcode REFUSED");
  CHECK(cause(server.Probe(".", DnsType::kNs)) == "rcode REFUSED");
  CHECK(cause(server.Probe("long.example", DnsType::kTxt)) == "");  // by TCP
  ProbeTarget ipv6 = server.Probe("real.example", DnsType::kA, "192.0.2.7");
  ipv6.destination = Address("::1");
  CHECK(cause(ipv6) == "");
}

TEST_CASE("dns: a server that goes is refused, one that is stopped is silent, and both pass again") {
  Asking asking;
  NameServer server;
  auto& prober = asking.Prober(server.Probe("real.example", DnsType::kA));
  CHECK(asking.Ask(prober).cause == "");
  server.program->Signal(SIGSTOP);
  CHECK(asking.Ask(prober, milliseconds(60)).cause == "no answer within 60 ms");
  server.program->Signal(SIGCONT);
  CHECK(asking.Ask(prober).cause == "");
  server.program.reset();
  CHECK(asking.Ask(prober).cause == "query: Could not contact DNS servers");
  CHECK(prober.prober->sockets() == 0);
  server.Run();
  CHECK(asking.Ask(prober).cause == "");
}

TEST_CASE("dns: a wrong answer and silence fail, and a prober destroyed under way tells nothing") {
  Asking asking;
  UdpServer server([](const std::string& query, uint32_t) {
    std::string answer = query;
    answer[2] = static_cast<char>(0x80);  // an answer
    answer[3] = 2;                        // SERVFAIL
    return answer;
  });
  CHECK(asking.Ask(asking.Prober(Target(CheckKind::kDns, "127.0.0.1", server.port()))).cause == "rcode SERVFAIL");
  auto& silent = asking.Prober(Target(CheckKind::kDns, kSilent, 53));
  CHECK(asking.Ask(silent, milliseconds(40)).cause == "no answer within 40 ms");
  const size_t before = silent.outcomes.size();
  silent.prober->Start({}, milliseconds(10));
  silent.prober.reset();
  asking.RunFor(milliseconds(30));
  CHECK(silent.outcomes.size() == before);
}

TEST_CASE("icmp: an address that answers passes and one that does not fails, in both families") {
  Asking asking;
  for (const char* address : {"127.0.0.1", "::1", "10.99.0.1", "fd99::1"}) {
    INFO(address);
    auto& prober = asking.Prober(Target(CheckKind::kIcmp, address, 0));
    CHECK(asking.Ask(prober).cause == "");
    CHECK(asking.Ask(prober).cause == "");
  }
  for (const char* address : {kSilent, kSilentIpv6}) {
    auto& prober = asking.Prober(Target(CheckKind::kIcmp, address, 0));
    CHECK(asking.Ask(prober, milliseconds(40)).cause == "no answer within 40 ms");
  }
  CHECK(asking.Ask(asking.Prober(Target(CheckKind::kIcmp, "192.0.2.1", 0))).cause == "send: Network is unreachable");
}

TEST_CASE("icmp: a host that stops answering fails and passes again") {
  Asking asking;
  auto& prober = asking.Prober(Target(CheckKind::kIcmp, "127.0.0.1", 0));
  CHECK(asking.Ask(prober).cause == "");
  Shell("echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all");
  CHECK(asking.Ask(prober, milliseconds(40)).cause == "no answer within 40 ms");
  Shell("echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_all");
  CHECK(asking.Ask(prober).cause == "");
}

TEST_CASE("icmp: many at once each get their own answer") {
  Asking asking;
  constexpr int kProbers = 500;
  std::vector<std::unique_ptr<Prober>> probers;
  int passed = 0, failed = 0;
  for (int i = 0; i < kProbers; ++i) {
    const std::string address = i % 10 == 0 ? std::string(kSilent) : "127.0.0.1";
    probers.push_back(
        MakeProber(Target(CheckKind::kIcmp, address, 0), asking.loop(), asking.shared(), [&](const Outcome& outcome) {
          ++(outcome.passed ? passed : failed);
          if (passed + failed == kProbers) asking.loop().Stop();
        }));
  }
  for (const auto& prober : probers) prober->Start({}, milliseconds(200));
  asking.loop().Run();
  CHECK(passed == kProbers - kProbers / 10);
  CHECK(failed == kProbers / 10);
}

}  // namespace
}  // namespace shunt

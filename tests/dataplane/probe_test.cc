// SPDX-License-Identifier: Apache-2.0
// The probe program, a packet at a time: the outer header it puts on is the packet model's, and what is not a probe it
// leaves alone. Not here: that the packet leaves by the real's interface (probe_attach_test.cc).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <catch2/catch.hpp>
#include <set>

#include "tests/dataplane/frames.h"
#include "tests/dataplane/probes.h"
#include "userspace/dataplane/outer_header.h"
#include "userspace/dataplane/probe_mark.h"

namespace shunt::test {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kOuterIpv4End = 34;
constexpr size_t kOuterIpv6End = 54;

struct Sent {
  int action = 0;
  Bytes frame;
  uint32_t mark = 0;
};

class ProbeBench {
 public:
  ProbeBench() : dataplane_(OpenForProbes(IndexOf("v0"))) {
    MustOpenTunnel(*dataplane_, "v0");
    program_ = ProgramOnEgress("v0");
    REQUIRE(program_.fd.valid());
  }

  Sent Send(const Bytes& frame, uint32_t mark) const {
    Sent sent{.frame = Bytes(frame.size() + kOuterIpv6End)};
    __sk_buff before{};
    __sk_buff after{};
    before.mark = mark;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = sent.frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()),
                .data_size_out = static_cast<uint32_t>(sent.frame.size()), .ctx_in = &before, .ctx_out = &after,
                .ctx_size_in = sizeof(before), .ctx_size_out = sizeof(after), .repeat = 1);
    REQUIRE(bpf_prog_test_run_opts(program_.fd.get(), &options) == 0);
    sent.frame.resize(options.data_size_out);
    sent.action = static_cast<int>(options.retval);
    sent.mark = after.mark;
    return sent;
  }

 private:
  NetworkNamespace network_;
  std::unique_ptr<KernelDataplane> dataplane_;
  TcProgram program_;
};

// What stands in the frame for entropy: the flow label of an outer IPv6 header, else the spread bits of its source.
uint32_t EntropyIn(const Bytes& frame, Family outer) {
  if (outer == Family::kIpv4) return Get16(frame, kOuterIpv4End - 6);
  return (uint32_t{Get16(frame, kEthernetBytes)} << 16 | Get16(frame, kEthernetBytes + 2)) & 0xfffff;
}

Bytes WithoutEthernet(const Bytes& frame) { return {frame.begin() + kEthernetBytes, frame.end()}; }

// What the packet model sends to that real; entropy as in `sent`.
Bytes ModelFrame(const Bytes& frame, const RealEntry& real, uint8_t traffic_class, const Bytes& sent) {
  const Bytes packet = WithoutEthernet(frame);
  const InnerPacket inner{.family = packet.at(0) >> 4 == 4 ? Family::kIpv4 : Family::kIpv6,
                          .bytes = packet.size(),
                          .traffic_class = traffic_class,
                          .entropy = EntropyIn(sent, real.address.family())};
  return Concat({MakeOuterHeader(real, inner), packet});
}

constexpr std::string_view kVips[] = {"203.0.113.10", "2001:db8:1::10"};

}  // namespace

TEST_CASE("A probe gets the outer header of its real, of either family around either, whether the real is up or down") {
  const ProbeBench bench;
  for (const ProbeEntry entry : {kIpv4Real, kIpv6Real, kIpv4Down, kIpv6Down}) {
    for (const std::string_view vip : kVips) {
      for (const uint8_t protocol : {kTcp, kUdp}) {
        CAPTURE(entry, vip, int{protocol});
        const Bytes frame =
            BuildFrame({.destination = vip, .protocol = protocol, .tcp_flags = kSyn, .tos = 0xb9, .payload_bytes = 33});
        const Sent sent = bench.Send(frame, ProbeMark(entry));
        REQUIRE(sent.action == TC_ACT_REDIRECT);
        CHECK(sent.frame == ModelFrame(frame, ProbeReal(entry, 0), 0xb9, sent.frame));
        CHECK(sent.mark == 0);
      }
    }
  }
}

TEST_CASE("Every traffic class of a probe is copied to its outer header") {
  const ProbeBench bench;
  for (const ProbeEntry entry : {kIpv4Real, kIpv6Real}) {
    for (const std::string_view vip : kVips) {
      for (const uint8_t traffic_class : Bytes{0x00, 0x01, 0x02, 0x03, 0x2e, 0x88, 0xfc, 0xff}) {
        CAPTURE(entry, vip, int{traffic_class});
        const Bytes frame = BuildFrame({.destination = vip, .tos = traffic_class, .flow_label = 0xabcde});
        const Sent sent = bench.Send(frame, ProbeMark(entry));
        CHECK(sent.frame == ModelFrame(frame, ProbeReal(entry, 0), traffic_class, sent.frame));
      }
    }
  }
}

TEST_CASE("Probes of many flows have many outer sources and flow labels, those of one flow the same") {
  const ProbeBench bench;
  for (const ProbeEntry entry : {kIpv4Real, kIpv6Real}) {
    std::set<uint32_t> seen;
    constexpr uint16_t kFlows = 50;
    for (uint16_t port = 1000; port < 1000 + kFlows; ++port) {
      const Bytes frame = BuildFrame({.source_port = port});
      const Bytes first = bench.Send(frame, ProbeMark(entry)).frame;
      CHECK(bench.Send(frame, ProbeMark(entry)).frame == first);
      seen.insert(EntropyIn(first, ProbeReal(entry, 0).address.family()));
    }
    CHECK(seen.size() > kFlows - 5);
  }
}

TEST_CASE("A packet without a probe's mark is left as it is and goes on to the next filter") {
  const ProbeBench bench;
  for (const std::string_view vip : kVips) {
    const Bytes frame = BuildFrame({.destination = vip});
    for (const uint32_t mark : {0u, uint32_t{kIpv4Real}, 0x7fffffffu}) {
      CAPTURE(vip, mark);
      const Sent sent = bench.Send(frame, mark);
      CHECK(sent.action == TC_ACT_UNSPEC);
      CHECK(sent.frame == frame);
      CHECK(sent.mark == mark);
    }
  }
}

TEST_CASE("A probe to an entry without a real or without a next hop is dropped") {
  const ProbeBench bench;
  const Bytes frame = BuildFrame({});
  for (const uint32_t entry :
       {uint32_t{0}, uint32_t{kUnresolved}, uint32_t{kUnresolvedDown}, uint32_t{kNoReal}, 16u, 0x7fffffffu}) {
    CAPTURE(entry);
    CHECK(bench.Send(frame, ProbeMark(entry)).action == TC_ACT_SHOT);
  }
}

TEST_CASE("A marked packet that is neither IPv4 nor IPv6 is dropped") {
  const ProbeBench bench;
  Bytes arp = BuildFrame({});
  Put16(arp, 12, 0x0806);
  CHECK(bench.Send(arp, ProbeMark(kIpv4Real)).action == TC_ACT_SHOT);
}

TEST_CASE("A probe that fits the real's path is sent and a longer one is dropped, as data is") {
  const ProbeBench bench;
  for (const ProbeEntry entry : {kIpv4Real, kIpv6Real}) {
    const size_t longest = 1500 - (entry == kIpv4Real ? 20 : 40);
    constexpr size_t kHeaders = 40;
    CAPTURE(entry);
    CHECK(bench.Send(BuildFrame({.payload_bytes = longest - kHeaders}), ProbeMark(entry)).action == TC_ACT_REDIRECT);
    CHECK(bench.Send(BuildFrame({.payload_bytes = longest - kHeaders + 1}), ProbeMark(entry)).action == TC_ACT_SHOT);
  }
}

}  // namespace shunt::test

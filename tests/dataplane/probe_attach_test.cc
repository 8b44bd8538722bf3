// SPDX-License-Identifier: Apache-2.0
// The probe program on interfaces: marked packets of real sockets leave by the real's interface, and what is there of
// others stays.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "tests/dataplane/frames.h"
#include "tests/dataplane/pinned.h"
#include "tests/dataplane/probes.h"
#include "userspace/bpf/tc.h"
#include "userspace/dataplane/outer_header.h"
#include "userspace/dataplane/probe_mark.h"

namespace shunt::test {
namespace {

using Catch::Contains;

// IPv4 frames that arrive at an interface.
class Capture {
 public:
  explicit Capture(const std::string& interface)
      : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP))) {
    sockaddr_ll from{};
    from.sll_family = AF_PACKET;
    from.sll_protocol = htons(ETH_P_IP);
    from.sll_ifindex = static_cast<int>(IndexOf(interface));
    REQUIRE(bind(socket_.get(), reinterpret_cast<sockaddr*>(&from), sizeof(from)) == 0);
  }
  Bytes Next() {
    pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&readable, 1, 5000) == 1);
    return Read();
  }
  bool IsEmpty() { return Read().empty(); }

 private:
  Bytes Read() {
    Bytes frame(2048);
    const ssize_t bytes = recv(socket_.get(), frame.data(), frame.size(), 0);
    frame.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
    return frame;
  }
  UniqueFd socket_;
};

// v0 leads to the VIP, w0 to the real.
void TwoLinks() {
  Shell(
      "ip link add w0 type veth peer name w1 && ip link set w0 up && ip link set w1 up"
      " && ip address add 192.0.2.1/24 dev v0 && ip route add 203.0.113.0/24 via 192.0.2.2"
      " && ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:99 dev v0");
}

void SendDatagram(uint32_t mark) {
  const UniqueFd datagrams(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE(setsockopt(datagrams.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0);
  sockaddr_in vip{};
  vip.sin_family = AF_INET;
  vip.sin_port = htons(53);
  REQUIRE(inet_pton(AF_INET, "203.0.113.10", &vip.sin_addr) == 1);
  REQUIRE(sendto(datagrams.get(), "ping", 4, 0, reinterpret_cast<sockaddr*>(&vip), sizeof(vip)) == 4);
}

// Somebody else's program, which lets every packet go on.
void AttachStranger(const std::string& interface, bpf_tc_attach_point point, uint32_t handle, uint32_t priority) {
  bpf_insn instructions[2] = {};
  instructions[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  instructions[0].imm = TC_ACT_UNSPEC;
  instructions[1].code = BPF_JMP | BPF_EXIT;
  const UniqueFd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "stranger", "GPL", instructions, 2, nullptr));
  REQUIRE(program.valid());
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(IndexOf(interface));
  hook.attach_point = point;
  const CapturedStderr quiet;
  (void)bpf_tc_hook_create(&hook);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program.get(), .handle = handle, .priority = priority);
  REQUIRE(bpf_tc_attach(&hook, &options) == 0);
}

bool HasClsact(const std::string& interface) {
  return std::system(("tc qdisc show dev " + interface + " | grep -q clsact").c_str()) == 0;
}

bool HasFilter(const std::string& interface, const std::string& direction, const std::string& name) {
  return std::system(
             ("tc filter show dev " + interface + " " + direction + " | grep -q ' " + name).append("'").c_str()) == 0;
}

// How many filters of ours, whatever their place.
void CheckFilters(const std::string& interface, int wanted) {
  Shell("test $(tc filter show dev " + interface + " egress | grep -c ' shunt_probe:') = " + std::to_string(wanted));
}

Status OpenTunnel(KernelDataplane& dataplane, const std::vector<uint32_t>& indices) {
  return dataplane.OpenProbeTunnel(indices);
}

}  // namespace

TEST_CASE("A marked packet of a socket leaves by its real's interface in the outer header, an unmarked one as it was") {
  const NetworkNamespace network;
  TwoLinks();
  const auto dataplane = OpenForProbes(IndexOf("w0"));
  MustOpenTunnel(*dataplane, "v0");
  Capture at_gateway("v1");
  Capture at_real("w1");
  SendDatagram(ProbeMark(kIpv4Real));
  const Bytes probe = at_real.Next();
  SendDatagram(0);
  const Bytes plain = at_gateway.Next();  // the first packet there: the probe was not
  CHECK(at_real.IsEmpty());
  REQUIRE(plain.size() == 14 + 20 + 8 + 4);
  REQUIRE(probe.size() == plain.size() + 20);
  const RealEntry real = ProbeReal(kIpv4Real, 0);
  const Bytes outer(probe.begin(), probe.begin() + 34);
  CHECK(outer == MakeOuterHeader(real, {.family = Family::kIpv4, .bytes = 32, .entropy = Get16(probe, 28)}));
  CHECK(Get16(plain, 30) == Get16(probe, 34 + 16));  // both to the VIP
}

TEST_CASE("A probe without a way into the tunnel does not leave at all") {
  const NetworkNamespace network;
  TwoLinks();
  const auto dataplane = OpenForProbes(IndexOf("w0"));
  MustOpenTunnel(*dataplane, "v0");
  Capture at_gateway("v1");
  Capture at_real("w1");
  SendDatagram(ProbeMark(kUnresolved));
  SendDatagram(ProbeMark(kNoReal));
  SendDatagram(ProbeMark(kIpv4Down));
  CHECK(at_real.Next().size() == 14 + 20 + 32);
  CHECK(at_real.IsEmpty());
  CHECK(at_gateway.IsEmpty());
}

TEST_CASE("A real that is written later is where the next probe goes") {
  const NetworkNamespace network;
  TwoLinks();
  const auto dataplane = OpenForProbes(IndexOf("w0"));
  MustOpenTunnel(*dataplane, "v0");
  const RealWrite write{kNoReal, ProbeReal(kIpv4Real, IndexOf("w0"))};
  REQUIRE(dataplane->SetReals(std::span(&write, 1)));
  Capture at_real("w1");
  SendDatagram(ProbeMark(kNoReal));
  CHECK(at_real.Next().size() == 14 + 20 + 32);
}

TEST_CASE("Opening the tunnel again changes nothing, and it outlives who opened it") {
  const NetworkNamespace network;
  auto dataplane = OpenForProbes(IndexOf("v0"));
  MustOpenTunnel(*dataplane, "v0");
  const uint32_t program = ProgramOnEgress("v0").id;
  REQUIRE(program != 0);
  MustOpenTunnel(*dataplane, "v0");
  REQUIRE(OpenTunnel(*dataplane, {IndexOf("v1"), IndexOf("v0")}));
  CHECK(ProgramOnEgress("v0").id == program);
  CHECK(ProgramOnEgress("v1").id == program);
  dataplane.reset();
  CHECK(ProgramOnEgress("v0").id == program);
  CheckFilters("v0", 1);
}

TEST_CASE("A tunnel that reads the reals of another process is replaced, that of the same tables stays") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  const auto before = OpenForProbes(IndexOf("v0"));
  MustOpenTunnel(*before, "v0");
  const uint32_t old_program = ProgramOnEgress("v0").id;
  auto pinned = MustOpen(Options(bpffs));
  MustOpenTunnel(*pinned, "v0");
  const uint32_t program = ProgramOnEgress("v0").id;
  CHECK(program != old_program);
  pinned.reset();
  pinned = MustOpen(Options(bpffs));  // a restart: the same maps
  MustOpenTunnel(*pinned, "v0");
  CHECK(ProgramOnEgress("v0").id == program);
  CheckFilters("v0", 1);
}

TEST_CASE("Detaching closes the tunnel on all interfaces, also what an earlier process opened, and takes clsact away") {
  const NetworkNamespace network;
  const TemporaryBpffs bpffs;
  REQUIRE(OpenTunnel(*MustOpen(Options(bpffs)), {IndexOf("v0"), IndexOf("v1")}));
  REQUIRE(HasClsact("v0"));
  REQUIRE(MustOpen(Options(bpffs))->Detach());
  for (const std::string interface : {"v0", "v1"}) {
    CHECK(ProgramOnEgress(interface).id == 0);
    CHECK_FALSE(HasClsact(interface));
  }
}

TEST_CASE("Filters of others stay, beside the tunnel and after it") {
  const NetworkNamespace network;
  const auto dataplane = OpenForProbes(IndexOf("v0"));
  AttachStranger("v0", BPF_TC_EGRESS, 1, 1);
  AttachStranger("v0", BPF_TC_EGRESS, 1, kTcPriority);
  AttachStranger("v1", BPF_TC_INGRESS, kTcHandle, kTcPriority);
  REQUIRE(OpenTunnel(*dataplane, {IndexOf("v0"), IndexOf("v1")}));
  CHECK(ProgramOnEgress("v0").id != 0);
  REQUIRE(dataplane->Detach());
  CHECK(ProgramOnEgress("v0").id == 0);
  CHECK(ProgramOnEgress("v1").id == 0);
  Shell("test $(tc filter show dev v0 egress | grep -c 'stranger') = 2");
  CHECK(HasFilter("v1", "ingress", "stranger"));
}

TEST_CASE("Somebody else's clsact, program or filter at our place is refused by name and stays") {
  const NetworkNamespace network;
  const auto dataplane = OpenForProbes(IndexOf("v0"));
  AttachStranger("v0", BPF_TC_EGRESS, kTcHandle, kTcPriority);
  const uint32_t stranger = ProgramOnEgress("v0").id;
  const Status opened = OpenTunnel(*dataplane, {IndexOf("v0"), IndexOf("v1")});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == ErrorKind::kExists);
  CHECK_THAT(opened.error().message, Contains("v0") && Contains("stranger") && !Contains("v1"));
  CHECK(ProgramOnEgress("v0").id == stranger);
  CHECK(ProgramOnEgress("v1").id != 0);  // one does not keep it from the others
  REQUIRE(dataplane->Detach());
  CHECK(ProgramOnEgress("v0").id == stranger);
}

TEST_CASE("An interface that is not there, or carries no Ethernet frames, is refused by name") {
  const NetworkNamespace network;
  const auto dataplane = OpenForProbes(IndexOf("v0"));
  const Status gone = OpenTunnel(*dataplane, {4711});
  REQUIRE_FALSE(gone);
  CHECK(gone.error().kind == ErrorKind::kNotFound);
  CHECK_THAT(gone.error().message, Contains("4711"));
  const Status loopback = OpenTunnel(*dataplane, {IndexOf("lo"), IndexOf("v0")});
  REQUIRE_FALSE(loopback);
  CHECK(loopback.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(loopback.error().message, Contains("lo:"));
  CHECK_FALSE(HasClsact("lo"));
  CHECK(ProgramOnEgress("v0").id != 0);
}

}  // namespace shunt::test

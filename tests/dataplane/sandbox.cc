// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/sandbox.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace shunt {

NetworkNamespace::NetworkNamespace() : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  REQUIRE(home_.valid());
  REQUIRE(unshare(CLONE_NEWNET) == 0);
  Shell("ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
}

NetworkNamespace::~NetworkNamespace() {
  if (setns(home_.get(), CLONE_NEWNET) != 0) std::abort();  // every later test would run in the wrong place
}

TemporaryBpffs::TemporaryBpffs() : path_("/tmp/shunt-test-XXXXXX") {
  REQUIRE(mkdtemp(path_.data()));
  REQUIRE(mount("bpf", path_.c_str(), "bpf", 0, nullptr) == 0);
}

TemporaryBpffs::~TemporaryBpffs() {
  umount2(path_.c_str(), MNT_DETACH);
  rmdir(path_.c_str());
}

void Shell(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

uint32_t XdpProgramId(const std::string& interface) {
  uint32_t id = 0;
  REQUIRE(bpf_xdp_query_id(static_cast<int>(if_nametoindex(interface.c_str())), 0, &id) == 0);
  return id;
}

uint32_t AttachForeignProgram(const std::string& interface) {
  bpf_insn instructions[2] = {};
  instructions[0].code = BPF_ALU64 | BPF_MOV | BPF_K;  // r0 = XDP_PASS
  instructions[0].imm = XDP_PASS;
  instructions[1].code = BPF_JMP | BPF_EXIT;
  const UniqueFd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", instructions, 2, nullptr));
  REQUIRE(program.valid());
  REQUIRE(bpf_xdp_attach(static_cast<int>(if_nametoindex(interface.c_str())), program.get(), 0, nullptr) == 0);
  return XdpProgramId(interface);
}

void SendFrame(const std::string& interface, std::span<const uint8_t> frame) {
  const UniqueFd link(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  REQUIRE(link.valid());
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const auto sent = sendto(link.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
  REQUIRE(sent == static_cast<ssize_t>(frame.size()));
}

bool Comes(const std::function<bool()>& wanted) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!wanted()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

CapturedStderr::CapturedStderr()
    : file_(memfd_create("stderr", MFD_CLOEXEC)), before_(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
  REQUIRE(dup2(file_.get(), STDERR_FILENO) == STDERR_FILENO);
}

CapturedStderr::~CapturedStderr() { dup2(before_.get(), STDERR_FILENO); }

std::string CapturedStderr::text() const {
  std::string text(static_cast<size_t>(lseek(file_.get(), 0, SEEK_END)), '\0');
  REQUIRE(pread(file_.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return text;
}

}  // namespace shunt

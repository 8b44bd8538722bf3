// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/icmp_sockets.h"

#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "userspace/health/probe_socket.h"

namespace shunt {
namespace {

constexpr size_t kHeaderBytes = 8;
constexpr size_t kMaxWaiting = 0xf000;  // so that a free sequence number is soon found
constexpr int kReceiveBufferBytes = 1 << 20;
constexpr int kMaxReadsInRow = 256;  // then others have their turn

struct Message {
  uint8_t type;
  uint8_t code;
  uint16_t checksum;
  uint16_t identifier;
  uint16_t sequence;
  std::array<uint8_t, 16> token;
};
static_assert(sizeof(Message) == kHeaderBytes + 16);

// RFC 1071
uint16_t Checksum(const Message& message) {
  std::array<uint16_t, sizeof(Message) / 2> words;
  std::memcpy(words.data(), &message, sizeof(message));
  uint32_t sum = 0;
  for (const uint16_t word : words) sum += word;
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~(sum + (sum >> 16)));
}

// Passes echo replies with our identifier: of all that the host receives the kernel copies only these to the socket.
// A raw IPv4 socket sees the IP header, an IPv6 one begins with the ICMPv6 header.
Status AttachFilter(int fd, Family family, uint16_t identifier) {
  const bool ipv4 = family == Family::kIpv4;
  const uint32_t reply = ipv4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
  sock_filter code[] = {
      ipv4 ? sock_filter BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0) : sock_filter BPF_STMT(BPF_LDX | BPF_IMM, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, reply, 0, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, identifier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
    return FailErrno("filtering what an ICMP socket receives", errno);
  return {};
}

IpAddress SenderOf(const sockaddr_storage& from) {
  if (from.ss_family == AF_INET) {
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(from).sin_addr, bytes.size());
    return IpAddress::FromIpv4(bytes);
  }
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(from).sin6_addr, bytes.size());
  return IpAddress(bytes);
}

// SO_MARK as a control message holds for this one datagram.
ssize_t SendMarked(int fd, const SocketAddress& to, const Message& message, uint32_t mark) {
  iovec part{.iov_base = const_cast<Message*>(&message), .iov_len = sizeof(message)};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(mark))> control{};
  msghdr header{};
  header.msg_name = const_cast<sockaddr*>(to.get());
  header.msg_namelen = to.length;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (mark != 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const option = CMSG_FIRSTHDR(&header);
    option->cmsg_level = SOL_SOCKET;
    option->cmsg_type = SO_MARK;
    option->cmsg_len = CMSG_LEN(sizeof(mark));
    std::memcpy(CMSG_DATA(option), &mark, sizeof(mark));
  }
  return sendmsg(fd, &header, MSG_NOSIGNAL);
}

}  // namespace

IcmpSockets::IcmpSockets(EventLoop& loop) : loop_(loop) {
  if (getrandom(&identifier_, sizeof(identifier_), 0) != sizeof(identifier_)) identifier_ = 1;
}

IcmpSockets::~IcmpSockets() {
  if (ipv4_.valid()) loop_.Unwatch(ipv4_.get());
  if (ipv6_.valid()) loop_.Unwatch(ipv6_.get());
}

Result<int> IcmpSockets::Socket(Family family) {
  const bool ipv4 = family == Family::kIpv4;
  UniqueFd& kept = ipv4 ? ipv4_ : ipv6_;
  if (kept.valid()) return kept.get();
  const int protocol = ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  UniqueFd fd(socket(ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return FailErrno("opening an ICMP socket (needs CAP_NET_RAW)", errno);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof(kReceiveBufferBytes));
  if (auto filtered = AttachFilter(fd.get(), family, identifier_); !filtered) return std::unexpected(filtered.error());
  auto watching = loop_.Watch(fd.get(), EPOLLIN, [this, family](uint32_t) { Receive(family); });
  if (!watching) return std::unexpected(watching.error());
  kept = std::move(fd);
  return kept.get();
}

Result<IcmpSockets::Ticket> IcmpSockets::Send(const IpAddress& to, uint32_t mark, Answered answered) {
  const auto fd = Socket(to.family());
  if (!fd) return std::unexpected(fd.error());
  if (waiting_.size() >= kMaxWaiting) return Fail(ErrorKind::kSystem, "send: too many echo requests wait for answers");
  do {
    ++last_sequence_;
  } while (last_sequence_ == 0 || waiting_.contains(last_sequence_));
  const bool ipv4 = to.family() == Family::kIpv4;
  Message message{.type = ipv4 ? uint8_t{ICMP_ECHO} : uint8_t{ICMP6_ECHO_REQUEST},
                  .code = 0,
                  .checksum = 0,
                  .identifier = htons(identifier_),
                  .sequence = htons(last_sequence_),
                  .token = {}};
  if (getrandom(message.token.data(), message.token.size(), 0) != static_cast<ssize_t>(message.token.size()))
    return FailErrno("making an echo request", errno);
  if (ipv4) message.checksum = Checksum(message);  // that of ICMPv6 covers the addresses: the kernel's work
  if (SendMarked(*fd, SocketAddress(to, 0), message, mark) < 0) return FailErrno("send", errno);
  waiting_[last_sequence_] = {.to = to, .token = message.token, .answered = std::move(answered)};
  return last_sequence_;
}

void IcmpSockets::Forget(Ticket ticket) { waiting_.erase(static_cast<uint16_t>(ticket)); }

void IcmpSockets::Receive(Family family) {
  const bool ipv4 = family == Family::kIpv4;
  for (int i = 0; i < kMaxReadsInRow; ++i) {
    std::array<uint8_t, 256> buffer;
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    const ssize_t received = recvfrom(ipv4 ? ipv4_.get() : ipv6_.get(), buffer.data(), buffer.size(), 0,
                                      reinterpret_cast<sockaddr*>(&from), &length);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return;
    const size_t start = ipv4 ? size_t{4} * (buffer[0] & 0xf) : 0;
    const auto bytes = static_cast<size_t>(received);
    if (bytes < start + sizeof(Message)) continue;
    uint16_t sequence = 0;
    std::memcpy(&sequence, &buffer[start + offsetof(Message, sequence)], sizeof(sequence));
    Take(SenderOf(from), ntohs(sequence), &buffer[start + kHeaderBytes], bytes - start - kHeaderBytes);
  }
}

void IcmpSockets::Take(const IpAddress& from, uint16_t sequence, const uint8_t* payload, size_t bytes) {
  const auto found = waiting_.find(sequence);
  if (found == waiting_.end() || found->second.to != from) return;
  if (bytes != kTokenBytes || std::memcmp(payload, found->second.token.data(), kTokenBytes) != 0) return;
  const Answered answered = std::move(found->second.answered);
  waiting_.erase(found);
  answered();
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace shunt {
namespace {

// One reply occupies up to about 5 KiB of the receive buffer, so a batch fits the smallest default buffer.
constexpr size_t kBatch = 64;
constexpr size_t kMaxRequestBytes = 128;
constexpr size_t kMaxMessageBytes = 64 * 1024;
constexpr int kClientBufferBytes = 1 << 20;
constexpr int kEventBufferBytes = 8 << 20;
// The kernel answers within the call that asks; this only keeps a lost answer from stopping the writer for good.
constexpr timeval kReplyTimeout{.tv_sec = 5, .tv_usec = 0};

void EnlargeReceiveBuffer(const mnl_socket* socket, int bytes) {
  const int fd = mnl_socket_get_fd(socket);
  // Without CAP_NET_ADMIN the system's maximum has to do: events may then be lost, which is noticed and repaired.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

Result<NetlinkSocket> OpenSocket(int flags, int receive_buffer_bytes) {
  NetlinkSocket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags));
  if (!socket) return FailErrno("opening an rtnetlink socket", errno);
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return FailErrno("binding an rtnetlink socket", errno);
  EnlargeReceiveBuffer(socket.get(), receive_buffer_bytes);
  return socket;
}

// What the kernel said in one message that answers a request.
NetlinkReply ReadReply(const nlmsghdr* message) {
  if (message->nlmsg_type != NLMSG_ERROR) return {.message = message};
  const auto* error = ReadHeader<nlmsgerr>(message);
  return {.error = error ? -error->error : EBADMSG};
}

}  // namespace

void ForEachMessage(std::span<const char> received, const std::function<void(const nlmsghdr*)>& take) {
  while (received.size() >= sizeof(nlmsghdr)) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(received.data());
    const size_t bytes = message->nlmsg_len;
    if (bytes < sizeof(nlmsghdr) || bytes > received.size()) return;
    take(message);
    received = received.subspan(std::min(MNL_ALIGN(bytes), received.size()));  // the last one need not be padded
  }
}

Result<NetlinkClient> NetlinkClient::Open() {
  auto socket = OpenSocket(0, kClientBufferBytes);
  if (!socket) return std::unexpected(socket.error());
  const int fd = mnl_socket_get_fd(socket->get());
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kReplyTimeout, sizeof(kReplyTimeout)) != 0)
    return FailErrno("setting the time limit of an rtnetlink socket", errno);
  const int on = 1;
  mnl_socket_setsockopt(socket->get(), NETLINK_CAP_ACK, const_cast<int*>(&on), sizeof(on));  // only saves bytes
  NetlinkClient client(std::move(*socket));
  client.requests_.resize(kBatch * kMaxRequestBytes);
  client.replies_.resize(kMaxMessageBytes);
  return client;
}

Result<NetlinkClient> NetlinkClient::OpenForDumps() {
  auto client = Open();
  int on = 1;
  if (client && mnl_socket_setsockopt(client->socket_.get(), NETLINK_GET_STRICT_CHK, &on, sizeof(on)) != 0)
    return FailErrno("having an rtnetlink socket filter dumps", errno);
  return client;
}

Status NetlinkClient::Exchange(size_t count, const Fill& fill, const Take& take) {
  for (size_t first = 0; first < count; first += kBatch) {
    auto done = ExchangeBatch(first, std::min(kBatch, count - first), fill, take);
    if (!done) return done;
  }
  return {};
}

Status NetlinkClient::ExchangeBatch(size_t first, size_t count, const Fill& fill, const Take& take) {
  std::ranges::fill(requests_, '\0');
  const uint32_t first_sequence = next_sequence_;
  next_sequence_ += static_cast<uint32_t>(count);
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    nlmsghdr* request = mnl_nlmsg_put_header(requests_.data() + bytes);
    fill(first + i, request);
    request->nlmsg_flags |= NLM_F_REQUEST;
    request->nlmsg_seq = first_sequence + static_cast<uint32_t>(i);
    bytes += MNL_ALIGN(request->nlmsg_len);
  }
  if (mnl_socket_sendto(socket_.get(), requests_.data(), bytes) != static_cast<ssize_t>(bytes))
    return FailErrno("sending rtnetlink requests", errno);

  std::array<bool, kBatch> answered{};
  for (size_t missing = count; missing > 0;) {
    const auto received = Receive();
    if (!received) return std::unexpected(received.error());
    ForEachMessage(*received, [&](const nlmsghdr* message) {
      // An answer to an exchange that was given up earlier has an older number: it is nobody's now.
      const uint32_t index = message->nlmsg_seq - first_sequence;
      if (index >= count || answered[index]) return;
      answered[index] = true;
      --missing;
      take(first + index, ReadReply(message));
    });
  }
  return {};
}

Status NetlinkClient::Dump(const std::function<void(nlmsghdr*)>& fill,
                           const std::function<void(const nlmsghdr*)>& take) {
  std::ranges::fill(requests_, '\0');
  nlmsghdr* request = mnl_nlmsg_put_header(requests_.data());
  fill(request);
  request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = next_sequence_++;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) != static_cast<ssize_t>(request->nlmsg_len))
    return FailErrno("sending an rtnetlink request", errno);

  bool consistent = true;
  bool ended = false;
  int error = 0;
  while (!ended) {
    const auto received = Receive();
    if (!received) return std::unexpected(received.error());
    ForEachMessage(*received, [&](const nlmsghdr* message) {
      if (ended || message->nlmsg_seq != request->nlmsg_seq) return;
      consistent = consistent && (message->nlmsg_flags & NLM_F_DUMP_INTR) == 0;
      ended = message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR;
      if (!ended) return take(message);
      if (message->nlmsg_type == NLMSG_ERROR) error = ReadReply(message).error;
    });
  }
  if (error == ENOENT) return {};
  if (error != 0) return FailErrno("reading an rtnetlink dump", error);
  return consistent ? Status{} : FailErrno("reading an rtnetlink dump: it changed meanwhile", EAGAIN);
}

Result<std::span<const char>> NetlinkClient::Receive() {
  for (;;) {
    const ssize_t received = mnl_socket_recvfrom(socket_.get(), replies_.data(), replies_.size());
    if (received >= 0) return std::span<const char>(replies_.data(), static_cast<size_t>(received));
    if (errno != EINTR) return FailErrno("reading rtnetlink replies", errno);
  }
}

Result<NetlinkEvents> NetlinkEvents::Open(std::span<const int> groups) {
  auto socket = OpenSocket(SOCK_NONBLOCK, kEventBufferBytes);
  if (!socket) return std::unexpected(socket.error());
  for (int group : groups) {
    if (mnl_socket_setsockopt(socket->get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
      return FailErrno("subscribing to rtnetlink group " + std::to_string(group), errno);
  }
  NetlinkEvents events(std::move(*socket));
  events.buffer_.resize(kMaxMessageBytes);
  return events;
}

Result<bool> NetlinkEvents::Drain(const std::function<void(const nlmsghdr*)>& take) {
  bool complete = true;
  // To the end even after a loss: the kernel drops everything, silently, until the queue has been empty once.
  while (true) {
    const ssize_t received = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return complete;
      // ENOSPC is libmnl's word for a message longer than the buffer; it is lost like a dropped one.
      if (errno != ENOBUFS && errno != ENOSPC) return FailErrno("reading rtnetlink events", errno);
      complete = false;
      continue;
    }
    ForEachMessage({buffer_.data(), static_cast<size_t>(received)}, take);
  }
}

void internal::CollectAttributes(const void* start, size_t bytes, std::span<const nlattr*> attributes) {
  const char* const end = static_cast<const char*>(start) + bytes;
  const auto* attribute = static_cast<const nlattr*>(start);
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    const uint16_t type = mnl_attr_get_type(attribute);
    if (type < attributes.size()) attributes[type] = attribute;
    attribute = mnl_attr_next(attribute);
  }
}

std::optional<uint32_t> ReadU32(const nlattr* attribute) {
  if (!attribute || mnl_attr_get_payload_len(attribute) < sizeof(uint32_t)) return std::nullopt;
  return mnl_attr_get_u32(attribute);
}

std::optional<uint8_t> ReadU8(const nlattr* attribute) {
  if (!attribute || mnl_attr_get_payload_len(attribute) < sizeof(uint8_t)) return std::nullopt;
  return mnl_attr_get_u8(attribute);
}

std::optional<IpAddress> ReadAddress(const nlattr* attribute, int address_family) {
  if (!attribute) return std::nullopt;
  return ReadAddress(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute), address_family);
}

std::optional<IpAddress> ReadAddress(const void* bytes, size_t length, int address_family) {
  if (address_family == AF_INET && length >= 4) {
    std::array<uint8_t, 4> ipv4;
    std::memcpy(ipv4.data(), bytes, ipv4.size());
    return IpAddress::FromIpv4(ipv4);
  }
  if (address_family == AF_INET6 && length >= 16) {
    IpAddress::Bytes ipv6;
    std::memcpy(ipv6.data(), bytes, ipv6.size());
    // Our IPv4 addresses are IPv4-mapped; the kernel's IPv6 tables can hold such ones too, and mean something else.
    const IpAddress address(ipv6);
    if (address.family() == Family::kIpv6) return address;
  }
  return std::nullopt;
}

uint8_t AddressFamily(const IpAddress& address) { return address.family() == Family::kIpv4 ? AF_INET : AF_INET6; }

void PutAddress(nlmsghdr* message, uint16_t type, const IpAddress& address) {
  if (address.family() == Family::kIpv4) {
    const auto ipv4 = address.ipv4();
    mnl_attr_put(message, type, ipv4.size(), ipv4.data());
  } else {
    mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
  }
}

}  // namespace shunt

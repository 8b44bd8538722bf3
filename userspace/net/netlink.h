// SPDX-License-Identifier: Apache-2.0
// rtnetlink, the two ways it is used here: NetlinkClient asks (many questions in one system call), NetlinkEvents
// listens. Not here: what the messages mean; see routes.h, links.h and neighbours.h.
// Called by next_hop_resolver.cc and those files, on one thread.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/net/address.h"

namespace shunt {

struct NetlinkSocketCloser {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using NetlinkSocket = std::unique_ptr<mnl_socket, NetlinkSocketCloser>;

// The kernel's answer to one request: a message, or an errno value (0 with no message: done, as asked with NLM_F_ACK).
struct NetlinkReply {
  const nlmsghdr* message = nullptr;  // lives until the reply has been taken
  int error = 0;
};

// The messages in what was received at once, in their order, up to the first that does not fit into it. `received` is
// aligned as a message is. Not by mnl_nlmsg_ok(): that takes a length beyond INT_MAX for one that fits.
void ForEachMessage(std::span<const char> received, const std::function<void(const nlmsghdr*)>& take);

class NetlinkClient {
 public:
  // Writes request `index` into a zeroed message: type, flags beside NLM_F_REQUEST, header, attributes.
  using Fill = std::function<void(size_t index, nlmsghdr* request)>;
  using Take = std::function<void(size_t index, const NetlinkReply& reply)>;

  static Result<NetlinkClient> Open();
  // One whose dumps the kernel filters by what the request says (NETLINK_GET_STRICT_CHK, Linux 4.20).
  static Result<NetlinkClient> OpenForDumps();

  // Sends `count` requests that have exactly one answer each (no dumps), a batch per system call, and takes every
  // answer once. Fails only where the conversation itself fails; the kernel's refusals are answers.
  Status Exchange(size_t count, const Fill& fill, const Take& take);

  // One request that has many answers (NLM_F_DUMP), each a message. What changed meanwhile may be there or not; a dump
  // that the kernel calls inconsistent is an error, and may be asked again. ENOENT, there is no such table: no answers.
  Status Dump(const std::function<void(nlmsghdr* request)>& fill,
              const std::function<void(const nlmsghdr* message)>& take);

 private:
  explicit NetlinkClient(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Status ExchangeBatch(size_t first, size_t count, const Fill& fill, const Take& take);
  Result<std::span<const char>> Receive();  // lives until the next one

  NetlinkSocket socket_;
  uint32_t next_sequence_ = 1;
  std::vector<char> requests_;
  std::vector<char> replies_;
};

class NetlinkEvents {
 public:
  // `groups` are RTNLGRP_ numbers.
  static Result<NetlinkEvents> Open(std::span<const int> groups);

  int fd() const { return mnl_socket_get_fd(socket_.get()); }

  // Reads until nothing is left. False: the kernel dropped events (ENOBUFS), so anything may have changed.
  Result<bool> Drain(const std::function<void(const nlmsghdr*)>& take);

 private:
  explicit NetlinkEvents(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
  std::vector<char> buffer_;
};

// The attributes of a message or a nest by type; null where absent. Types this build does not know are left out.
template <size_t kCount>
using NetlinkAttributes = std::array<const nlattr*, kCount>;

namespace internal {
void CollectAttributes(const void* start, size_t bytes, std::span<const nlattr*> attributes);
}

template <size_t kCount>
NetlinkAttributes<kCount> ReadAttributes(const nlmsghdr* message, size_t header_bytes) {
  NetlinkAttributes<kCount> attributes{};
  const size_t skip = MNL_ALIGN(header_bytes);
  const size_t bytes = mnl_nlmsg_get_payload_len(message);
  if (bytes > skip) internal::CollectAttributes(mnl_nlmsg_get_payload_offset(message, skip), bytes - skip, attributes);
  return attributes;
}

template <size_t kCount>
NetlinkAttributes<kCount> ReadNested(const nlattr* nest) {
  NetlinkAttributes<kCount> attributes{};
  if (nest) internal::CollectAttributes(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), attributes);
  return attributes;
}

// The fixed header behind nlmsghdr, or null where the message is too short for it.
template <class Header>
const Header* ReadHeader(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(Header)) return nullptr;
  return static_cast<const Header*>(mnl_nlmsg_get_payload(message));
}

// All of these answer "absent" for a null or too short attribute; an IPv4-mapped address among IPv6 ones is none.
std::optional<uint32_t> ReadU32(const nlattr* attribute);
std::optional<uint8_t> ReadU8(const nlattr* attribute);
std::optional<IpAddress> ReadAddress(const nlattr* attribute, int address_family);
// The address in the first bytes of a payload.
std::optional<IpAddress> ReadAddress(const void* bytes, size_t length, int address_family);

uint8_t AddressFamily(const IpAddress& address);  // AF_INET or AF_INET6
void PutAddress(nlmsghdr* message, uint16_t type, const IpAddress& address);

}  // namespace shunt

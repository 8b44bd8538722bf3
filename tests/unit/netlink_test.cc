// SPDX-License-Identifier: Apache-2.0
// What a netlink socket gives is walked message by message, whatever lengths stand in it. Not here: what the messages
// mean (tests/lab/next_hop_test.cc, with a real kernel; tests/fuzz/netlink.cc, with any bytes).
#include "userspace/net/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "userspace/net/neighbours.h"
#include "userspace/net/routes.h"

namespace shunt {
namespace {

// A message that says it has `claimed_bytes`, in as many bytes as it really has.
std::string Message(uint32_t claimed_bytes, uint16_t type, size_t bytes) {
  std::string message(bytes, '\0');
  const nlmsghdr header{
      .nlmsg_len = claimed_bytes, .nlmsg_type = type, .nlmsg_flags = 0, .nlmsg_seq = 0, .nlmsg_pid = 0};
  std::memcpy(message.data(), &header, sizeof(header));
  return message;
}

std::vector<int> TypesIn(const std::string& text) {
  const std::vector<char> received(text.begin(), text.end());  // aligned, and with nothing behind its end
  std::vector<int> types;
  ForEachMessage(received, [&](const nlmsghdr* message) { types.push_back(message->nlmsg_type); });
  return types;
}

TEST_CASE("netlink messages are taken one after the other, the last one padded or not") {
  CHECK(TypesIn("").empty());
  CHECK(TypesIn(Message(16, 20, 16)) == std::vector{20});
  CHECK(TypesIn(Message(17, 20, 20) + Message(16, 21, 16)) == std::vector{20, 21});
  CHECK(TypesIn(Message(16, 20, 16) + Message(18, 21, 18)) == std::vector{20, 21});
}

TEST_CASE("a netlink message that is cut, or tells a length that cannot be, ends the walk") {
  const std::string good = Message(16, 20, 16);
  const uint32_t claimed_bytes = GENERATE(0u, 15u, 0x7fffffffu, 0x80000000u, 0xff007530u, 0xffffffffu);
  INFO(claimed_bytes);
  CHECK(TypesIn(good + Message(claimed_bytes, 21, 20) + good) == std::vector{20});
  CHECK(TypesIn(good + Message(21, 21, 20)) == std::vector{20});
  CHECK(TypesIn(good + good.substr(0, 15)) == std::vector{20});
}

// A message of rtnetlink: its header, and one attribute of 16 bytes.
template <class Header>
std::vector<char> About(uint16_t type, const Header& header, uint16_t attribute, const std::string& ipv6) {
  std::vector<char> bytes(256);
  nlmsghdr* message = mnl_nlmsg_put_header(bytes.data());
  message->nlmsg_type = type;
  *static_cast<Header*>(mnl_nlmsg_put_extra_header(message, sizeof(Header))) = header;
  mnl_attr_put(message, attribute, 16, IpAddress::Parse(ipv6)->bytes().data());
  return bytes;
}

const nlmsghdr* Of(const std::vector<char>& bytes) { return reinterpret_cast<const nlmsghdr*>(bytes.data()); }

TEST_CASE("an IPv4-mapped address in the kernel's IPv6 tables is not taken for the IPv4 address") {
  ndmsg neighbour{};
  neighbour.ndm_family = AF_INET6;
  CHECK(ReadNeighbour(Of(About(RTM_NEWNEIGH, neighbour, NDA_DST, "2001:db8::1"))));
  CHECK(!ReadNeighbour(Of(About(RTM_NEWNEIGH, neighbour, NDA_DST, "10.0.0.11"))));
  rtmsg route{};
  route.rtm_family = AF_INET6;
  route.rtm_dst_len = 96;
  CHECK(ReadRoutePrefix(Of(About(RTM_NEWROUTE, route, RTA_DST, "2001:db8::"))) == *Prefix::Parse("2001:db8::/96"));
  CHECK(!ReadRoutePrefix(Of(About(RTM_NEWROUTE, route, RTA_DST, "0.0.0.0"))));
  CHECK(ReadRoutePrefix(Of(About(RTM_NEWROUTE, route, RTA_PREFSRC, "2001:db8::1"))) == Prefix{IpAddress(), 96});
}

}  // namespace
}  // namespace shunt

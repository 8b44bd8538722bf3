// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/links.h"

#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace shunt {
namespace {

struct UnfitKind {
  std::string_view kind;
  std::string_view words;
};

// Devices that look like Ethernet but do not take frames from XDP (no ndo_xdp_xmit): what they add to a frame, or
// which port they choose for it, happens in the kernel's stack, which XDP bypasses.
constexpr UnfitKind kUnfitKinds[] = {
    {"vlan", "a VLAN device"},     {"bridge", "a bridge"},        {"team", "a team device"},
    {"macvlan", "a macvlan"},      {"macvtap", "a macvtap"},      {"ipvlan", "an ipvlan"},
    {"ipvtap", "an ipvtap"},       {"vxlan", "a VXLAN tunnel"},   {"geneve", "a Geneve tunnel"},
    {"gretap", "a GRE tunnel"},    {"ip6gretap", "a GRE tunnel"}, {"erspan", "an ERSPAN tunnel"},
    {"macsec", "a MACsec device"}, {"dummy", "a dummy device"},   {"ifb", "an ifb device"},
    {"hsr", "an HSR device"},      {"batadv", "a batman device"}, {"vrf", "a VRF device"},
};

std::string ReadText(const nlattr* attribute) {
  if (!attribute) return {};
  const auto* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
  return std::string(text, strnlen(text, mnl_attr_get_payload_len(attribute)));
}

}  // namespace

Result<std::vector<std::optional<Link>>> LookUpLinks(NetlinkClient& client, std::span<const uint32_t> indexes) {
  std::vector<std::optional<Link>> links(indexes.size());
  auto done = client.Exchange(
      indexes.size(),
      [&](size_t index, nlmsghdr* request) {
        request->nlmsg_type = RTM_GETLINK;
        auto* header = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
        header->ifi_index = static_cast<int>(indexes[index]);
        mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
      },
      [&](size_t index, const NetlinkReply& reply) {
        if (reply.message) links[index] = ReadLink(reply.message);
      });
  if (!done) return Context("looking up network interfaces", done.error());
  return links;
}

Result<std::vector<std::optional<uint64_t>>> ReadReceivedPackets(NetlinkClient& client,
                                                                 std::span<const uint32_t> indexes) {
  std::vector<std::optional<uint64_t>> packets(indexes.size());
  auto done = client.Exchange(
      indexes.size(),
      [&](size_t index, nlmsghdr* request) {
        request->nlmsg_type = RTM_GETSTATS;
        auto* header = static_cast<if_stats_msg*>(mnl_nlmsg_put_extra_header(request, sizeof(if_stats_msg)));
        header->ifindex = indexes[index];
        header->filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
      },
      [&](size_t index, const NetlinkReply& reply) {
        if (!reply.message) return;
        const auto attributes = ReadAttributes<IFLA_STATS_MAX + 1>(reply.message, sizeof(if_stats_msg));
        const nlattr* counts = attributes[IFLA_STATS_LINK_64];
        rtnl_link_stats64 stats{};
        if (!counts || mnl_attr_get_payload_len(counts) < sizeof(stats.rx_packets)) return;
        std::memcpy(&stats, mnl_attr_get_payload(counts),
                    std::min<size_t>(sizeof(stats), mnl_attr_get_payload_len(counts)));
        packets[index] = stats.rx_packets;
      });
  if (!done) return Context("reading what network interfaces received", done.error());
  return packets;
}

std::optional<Link> ReadLink(const nlmsghdr* message) {
  const auto* header = ReadHeader<ifinfomsg>(message);
  if (!header || header->ifi_family != AF_UNSPEC) return std::nullopt;
  const auto attributes = ReadAttributes<IFLA_MAX + 1>(message, sizeof(ifinfomsg));
  Link link;
  link.index = static_cast<uint32_t>(header->ifi_index);
  link.name = ReadText(attributes[IFLA_IFNAME]);
  link.kind = ReadText(ReadNested<IFLA_INFO_MAX + 1>(attributes[IFLA_LINKINFO])[IFLA_INFO_KIND]);
  const nlattr* mac = attributes[IFLA_ADDRESS];
  if (mac && mnl_attr_get_payload_len(mac) == link.mac.bytes.size())
    std::memcpy(link.mac.bytes.data(), mnl_attr_get_payload(mac), link.mac.bytes.size());
  link.mtu_bytes = ReadU32(attributes[IFLA_MTU]).value_or(0);
  link.ethernet = header->ifi_type == ARPHRD_ETHER;
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.carrier = (header->ifi_flags & IFF_RUNNING) != 0;
  return link;
}

std::string LinkProblem(const Link& link) {
  if (!link.ethernet)
    return fmt::format("next hop leaves by {}, which is not an Ethernet device; XDP cannot send there", link.name);
  const auto* unfit = std::ranges::find(kUnfitKinds, link.kind, &UnfitKind::kind);
  if (unfit != std::end(kUnfitKinds))
    return fmt::format("next hop leaves by {}, {}; XDP cannot send there", link.name, unfit->words);
  if (!link.up) return fmt::format("next hop leaves by {}, which is down", link.name);
  if (!link.carrier) return fmt::format("next hop leaves by {}, which has no carrier", link.name);
  return {};
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/route_table.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "userspace/net/routes.h"

namespace shunt {

RouteTable::RouteTable(NetlinkClient client, uint32_t table, uint8_t protocol)
    : client_(std::move(client)), table_(table), protocol_(protocol) {}

Result<std::vector<TableRoute>> RouteTable::Read() {
  std::vector<TableRoute> routes;
  for (const int family : {AF_INET, AF_INET6}) {
    if (const auto read = ReadFamily(static_cast<uint8_t>(family), routes); !read)
      return Context(fmt::format("reading routing table {}", table_), read.error());
  }
  std::ranges::sort(routes);
  return routes;
}

// The kernel leaves out what another table or protocol has; it is looked at all the same, since what is not ours would
// be removed.
Status RouteTable::ReadFamily(uint8_t family, std::vector<TableRoute>& routes) {
  return client_.Dump(
      [&](nlmsghdr* request) {
        request->nlmsg_type = RTM_GETROUTE;
        auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
        header->rtm_family = family;
        header->rtm_protocol = protocol_;
        mnl_attr_put_u32(request, RTA_TABLE, table_);
      },
      [&](const nlmsghdr* message) {
        const auto* header = ReadHeader<rtmsg>(message);
        const auto prefix = ReadRoutePrefix(message);
        if (!header || !prefix || message->nlmsg_type != RTM_NEWROUTE) return;
        const auto attributes = ReadAttributes<RTA_MAX + 1>(message, sizeof(rtmsg));
        const uint32_t table = ReadU32(attributes[RTA_TABLE]).value_or(header->rtm_table);
        if (table != table_ || header->rtm_protocol != protocol_ || header->rtm_family != family) return;
        routes.push_back({.prefix = *prefix, .metric = ReadU32(attributes[RTA_PRIORITY]).value_or(0)});
      });
}

Status RouteTable::Add(std::span<const TableRoute> routes) {
  return Change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, EEXIST, routes);
}

Status RouteTable::Remove(std::span<const TableRoute> routes) { return Change(RTM_DELROUTE, 0, ESRCH, routes); }

Status RouteTable::Change(uint16_t type, uint16_t flags, int good_error, std::span<const TableRoute> routes) {
  std::string problem;
  const std::string_view doing = type == RTM_NEWROUTE ? "adding route" : "removing route";
  const auto exchanged = client_.Exchange(
      routes.size(),
      [&](size_t index, nlmsghdr* request) {
        const TableRoute& route = routes[index];
        request->nlmsg_type = type;
        request->nlmsg_flags = static_cast<uint16_t>(NLM_F_ACK | flags);
        auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
        header->rtm_family = AddressFamily(route.prefix.address);
        header->rtm_dst_len = route.prefix.length;
        header->rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE has room for it
        header->rtm_protocol = protocol_;
        header->rtm_scope = RT_SCOPE_UNIVERSE;
        header->rtm_type = RTN_BLACKHOLE;
        PutAddress(request, RTA_DST, route.prefix.address);
        mnl_attr_put_u32(request, RTA_TABLE, table_);
        mnl_attr_put_u32(request, RTA_PRIORITY, route.metric);
      },
      [&](size_t index, const NetlinkReply& reply) {
        if (reply.error == 0 || reply.error == good_error || !problem.empty()) return;
        problem = fmt::format("{} {} metric {} in routing table {}: {}", doing, routes[index].prefix.ToString(),
                              routes[index].metric, table_, std::generic_category().message(reply.error));
      });
  if (!exchanged) return Context(fmt::format("changing routing table {}", table_), exchanged.error());
  if (problem.empty()) return {};
  return Fail(ErrorKind::kSystem, std::move(problem));
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/route_table.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "userspace/net/routes.h"

namespace shunt {

RouteTable::RouteTable(NetlinkClient client, uint32_t table, uint8_t protocol)
    : client_(std::move(client)), table_(table), protocol_(protocol) {}

Result<std::vector<TableRoute>> RouteTable::Read() {
  std::vector<TableRoute> routes;
  const auto read = ReadOurs(table_, [&](uint32_t, const TableRoute& route) { routes.push_back(route); });
  if (!read) return Context(fmt::format("reading routing table {}", table_), read.error());
  std::ranges::sort(routes);
  return routes;
}

Result<std::vector<uint32_t>> RouteTable::OtherTables() {
  std::set<uint32_t> tables;
  const auto read = ReadOurs(std::nullopt, [&](uint32_t table, const TableRoute&) {
    if (table != table_ && (table < RT_TABLE_DEFAULT || table > RT_TABLE_LOCAL)) tables.insert(table);
  });
  if (!read) return Context("looking for routes of ours in all routing tables", read.error());
  return std::vector(tables.begin(), tables.end());
}

// The kernel leaves out what another table or protocol has; it is looked at all the same, since what is not ours would
// be removed.
Status RouteTable::ReadOurs(std::optional<uint32_t> wanted_table, const Take& take) {
  for (const int family : {AF_INET, AF_INET6}) {
    const auto dumped = client_.Dump(
        [&](nlmsghdr* request) {
          request->nlmsg_type = RTM_GETROUTE;
          auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
          header->rtm_family = static_cast<uint8_t>(family);
          header->rtm_protocol = protocol_;
          header->rtm_type = RTN_BLACKHOLE;
          if (wanted_table) mnl_attr_put_u32(request, RTA_TABLE, *wanted_table);
        },
        [&](const nlmsghdr* message) {
          const auto* header = ReadHeader<rtmsg>(message);
          const auto prefix = ReadRoutePrefix(message);
          if (!header || !prefix || message->nlmsg_type != RTM_NEWROUTE) return;
          const auto attributes = ReadAttributes<RTA_MAX + 1>(message, sizeof(rtmsg));
          const uint32_t table = ReadU32(attributes[RTA_TABLE]).value_or(header->rtm_table);
          if (table != wanted_table.value_or(table) || header->rtm_protocol != protocol_ ||
              header->rtm_type != RTN_BLACKHOLE || header->rtm_family != family)
            return;
          take(table, {.prefix = *prefix, .metric = ReadU32(attributes[RTA_PRIORITY]).value_or(0)});
        });
    if (!dumped) return dumped;
  }
  return {};
}

// To the kernel a route that differs in type or protocol alone is in the way of ours.
Status RouteTable::Add(std::span<const TableRoute> routes) {
  const auto there = Change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, EEXIST, routes);
  if (!there) return std::unexpected(there.error());
  if (there->empty()) return {};
  const auto ours = Read();
  if (!ours) return std::unexpected(ours.error());
  const auto foreign =
      std::ranges::find_if(*there, [&](const auto& one) { return !std::ranges::binary_search(*ours, one); });
  if (foreign == there->end()) return {};
  return Fail(ErrorKind::kExists,
              fmt::format("adding route {} metric {} in routing table {}: a route that is not of type blackhole and "
                          "protocol {} has its place; remove that one, or give shuntd a table of its own",
                          foreign->prefix.ToString(), foreign->metric, table_, protocol_));
}

Status RouteTable::Remove(std::span<const TableRoute> routes) {
  const auto gone = Change(RTM_DELROUTE, 0, ESRCH, routes);
  return gone ? Status{} : std::unexpected(gone.error());
}

Result<std::vector<TableRoute>> RouteTable::Change(uint16_t type, uint16_t flags, int needless,
                                                   std::span<const TableRoute> routes) {
  std::vector<TableRoute> unchanged;
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
        if (reply.error == needless) unchanged.push_back(routes[index]);
        if (reply.error == 0 || reply.error == needless || !problem.empty()) return;
        problem = fmt::format("{} {} metric {} in routing table {}: {}", doing, routes[index].prefix.ToString(),
                              routes[index].metric, table_, std::generic_category().message(reply.error));
      });
  if (!exchanged) return Context(fmt::format("changing routing table {}", table_), exchanged.error());
  if (!problem.empty()) return Fail(ErrorKind::kSystem, std::move(problem));
  return unchanged;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/link_programs.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace shunt {
namespace {

std::optional<LinkProgram> ReadLinkProgram(const nlmsghdr* message) {
  const auto* header = ReadHeader<ifinfomsg>(message);
  if (!header) return std::nullopt;
  const auto attributes = ReadAttributes<IFLA_MAX + 1>(message, sizeof(ifinfomsg));
  const auto xdp = ReadNested<IFLA_XDP_MAX + 1>(attributes[IFLA_XDP]);
  constexpr unsigned kUsable = IFF_UP | IFF_RUNNING;
  LinkProgram found{.index = static_cast<uint32_t>(header->ifi_index),
                    .program_id = 0,
                    .carrier = (header->ifi_flags & kUsable) == kUsable};
  // With a second one in the hardware the kernel tells them apart instead of naming one.
  for (const int type : {IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID}) {
    if (found.program_id == 0) found.program_id = ReadU32(xdp[static_cast<size_t>(type)]).value_or(0);
  }
  return found;
}

}  // namespace

Result<std::vector<std::optional<LinkProgram>>> LookUpLinkPrograms(NetlinkClient& client,
                                                                   std::span<const std::string> names) {
  std::vector<std::optional<LinkProgram>> links(names.size());
  const auto done = client.Exchange(
      names.size(),
      [&](size_t index, nlmsghdr* request) {
        request->nlmsg_type = RTM_GETLINK;
        mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
        mnl_attr_put_strz(request, IFLA_IFNAME, names[index].c_str());
        mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
      },
      [&](size_t index, const NetlinkReply& reply) {
        if (reply.message) links[index] = ReadLinkProgram(reply.message);
      });
  if (!done) return Context("looking up network interfaces", done.error());
  return links;
}

}  // namespace shunt

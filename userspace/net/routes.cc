// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/routes.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <system_error>

namespace shunt {
namespace {

// RTA_VIA: a gateway of another family than the destination's.
std::optional<IpAddress> ReadVia(const nlattr* attribute) {
  if (!attribute || mnl_attr_get_payload_len(attribute) < sizeof(rtvia)) return std::nullopt;
  const auto* via = static_cast<const rtvia*>(mnl_attr_get_payload(attribute));
  const size_t length = mnl_attr_get_payload_len(attribute) - offsetof(rtvia, rtvia_addr);
  return ReadAddress(via->rtvia_addr, length, via->rtvia_family);
}

Route Unroutable(int error) {
  Route route;
  route.error = error;
  return route;
}

Route ReadRoute(const nlmsghdr* message) {
  const auto* header = ReadHeader<rtmsg>(message);
  if (!header || message->nlmsg_type != RTM_NEWROUTE) return Unroutable(EBADMSG);
  const auto attributes = ReadAttributes<RTA_MAX + 1>(message, sizeof(rtmsg));
  Route route;
  route.type = header->rtm_type;
  route.encapsulated = attributes[RTA_ENCAP] != nullptr;
  route.interface_index = ReadU32(attributes[RTA_OIF]).value_or(0);
  route.gateway = ReadAddress(attributes[RTA_GATEWAY], header->rtm_family);
  if (!route.gateway) route.gateway = ReadVia(attributes[RTA_VIA]);
  route.source = ReadAddress(attributes[RTA_PREFSRC], header->rtm_family);
  const auto metrics = ReadNested<RTAX_MAX + 1>(attributes[RTA_METRICS]);
  route.mtu_bytes = ReadU32(metrics[RTAX_MTU]).value_or(0);
  return route;
}

// The kernel tells the route types without a way by the error of the lookup.
std::string ErrorProblem(const IpAddress& destination, int error) {
  switch (error) {
    case ENETUNREACH:
      return fmt::format("no route to {}", destination.ToString());
    case EHOSTUNREACH:
      return fmt::format("the route to {} is of type unreachable", destination.ToString());
    case EACCES:
      return fmt::format("the route to {} is of type prohibit", destination.ToString());
    case EINVAL:
      return fmt::format("the route to {} is of type blackhole", destination.ToString());
    default:
      return fmt::format("looking up the route to {}: {}", destination.ToString(),
                         std::generic_category().message(error));
  }
}

std::string TypeProblem(const IpAddress& destination, uint8_t type) {
  switch (type) {
    case RTN_UNICAST:
      return {};
    case RTN_LOCAL:
    case RTN_ANYCAST:
      return fmt::format("{} is an address of this host; a real must be another host", destination.ToString());
    case RTN_BROADCAST:
    case RTN_MULTICAST:
      return fmt::format("{} is a {} address; a real must be one host", destination.ToString(),
                         type == RTN_BROADCAST ? "broadcast" : "multicast");
    case RTN_UNREACHABLE:
      return ErrorProblem(destination, EHOSTUNREACH);
    case RTN_PROHIBIT:
      return ErrorProblem(destination, EACCES);
    case RTN_BLACKHOLE:
      return ErrorProblem(destination, EINVAL);
    default:
      return fmt::format("the route to {} is of type {}, which leads to no host", destination.ToString(), type);
  }
}

}  // namespace

Result<std::vector<Route>> LookUpRoutes(NetlinkClient& client, std::span<const IpAddress> destinations) {
  std::vector<Route> routes(destinations.size());
  auto done = client.Exchange(
      destinations.size(),
      [&](size_t index, nlmsghdr* request) {
        const IpAddress& destination = destinations[index];
        request->nlmsg_type = RTM_GETROUTE;
        auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
        header->rtm_family = AddressFamily(destination);
        header->rtm_dst_len = AddressBits(destination.family());
        PutAddress(request, RTA_DST, destination);
      },
      [&](size_t index, const NetlinkReply& reply) {
        routes[index] = reply.message ? ReadRoute(reply.message) : Unroutable(reply.error);
      });
  if (!done) return Context("looking up the routes to the reals", done.error());
  return routes;
}

std::string RouteProblem(const IpAddress& destination, const Route& route) {
  if (route.error != 0) return ErrorProblem(destination, route.error);
  std::string problem = TypeProblem(destination, route.type);
  if (!problem.empty()) return problem;
  if (route.encapsulated)
    return fmt::format("the route to {} wraps packets itself (encap); XDP cannot apply that", destination.ToString());
  const char* family = destination.family() == Family::kIpv4 ? "IPv4" : "IPv6";
  if (!route.source)
    return fmt::format("this host has no {} address to send from to {}", family, destination.ToString());
  if (route.source->IsLinkLocal() && !destination.IsLinkLocal())
    return fmt::format("this host has only the link-local address {} to send from to {}", route.source->ToString(),
                       destination.ToString());
  return {};
}

std::optional<Prefix> ReadRoutePrefix(const nlmsghdr* message) {
  const auto* header = ReadHeader<rtmsg>(message);
  if (!header || (header->rtm_family != AF_INET && header->rtm_family != AF_INET6)) return std::nullopt;
  if (header->rtm_dst_len > (header->rtm_family == AF_INET ? 32 : 128)) return std::nullopt;
  const auto attributes = ReadAttributes<RTA_MAX + 1>(message, sizeof(rtmsg));
  const IpAddress any = header->rtm_family == AF_INET ? IpAddress::FromIpv4({}) : IpAddress();
  const auto address = attributes[RTA_DST] ? ReadAddress(attributes[RTA_DST], header->rtm_family) : any;
  if (!address) return std::nullopt;
  return Prefix{.address = *address, .length = header->rtm_dst_len};
}

}  // namespace shunt

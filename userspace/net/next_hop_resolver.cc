// SPDX-License-Identifier: Apache-2.0
// The resolver keeps what it was told of routes, links and neighbours, marks what an event makes doubtful, and
// asks again for just that. The answer is then a pure function of these three (Judge). Events are only ever a
// reason to ask: they may be older than the last answer, so their content is not believed.
#include "userspace/net/next_hop_resolver.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "userspace/net/links.h"
#include "userspace/net/neighbours.h"
#include "userspace/net/netlink.h"
#include "userspace/net/routes.h"

namespace shunt {
namespace {

constexpr int kGroups[] = {
    RTNLGRP_LINK,        RTNLGRP_NEIGH,       RTNLGRP_NEXTHOP, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  // the way
    RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,    // which table holds the way
    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,  // the source address, and whether a real is this host
};

struct KnownRoute {
  Route route;
  bool fresh = false;
};

struct KnownLink {
  Link link;
  bool fresh = false;
};

struct KnownNeighbour {
  Neighbour neighbour;
  bool fresh = false;
  bool failed = false;  // did not answer since it was last known: what is said while the kernel tries again
  int start_error = 0;  // errno of the attempt to have it resolved
};

bool NeedsStart(const Neighbour& neighbour) {
  if (neighbour.fixed) return false;
  return !neighbour.managed || neighbour.state == Neighbour::State::kAbsent ||
         neighbour.state == Neighbour::State::kFailed;
}

NeighbourKey KeyOf(const IpAddress& real, const Route& route) {
  return {route.interface_index, route.gateway.value_or(real)};
}

std::string NeighbourProblem(const IpAddress& address, const Link& link, const KnownNeighbour& known) {
  if (known.neighbour.state == Neighbour::State::kKnown) return {};
  const bool ipv4 = address.family() == Family::kIpv4;
  if (known.start_error == ENOBUFS)
    return fmt::format(
        "resolving {} on {}: the kernel's neighbour table is full; raise net.ipv{}.neigh.default.gc_thresh3",
        address.ToString(), link.name, ipv4 ? 4 : 6);
  if (known.start_error != 0)
    return fmt::format("resolving {} on {}: {}{}", address.ToString(), link.name,
                       std::generic_category().message(known.start_error),
                       known.start_error == EPERM ? "; it needs CAP_NET_ADMIN" : "");
  if (known.failed)
    return fmt::format("{} on {} does not answer {}", address.ToString(), link.name,
                       ipv4 ? "ARP" : "neighbour discovery");
  return fmt::format("{} on {} is being resolved", address.ToString(), link.name);
}

IpAddress LastOf(const Prefix& prefix) {
  IpAddress::Bytes bytes = prefix.address.bytes();
  const size_t length = prefix.length + (prefix.address.family() == Family::kIpv4 ? 96u : 0u);
  for (size_t bit = length; bit < 128; ++bit) bytes[bit / 8] |= static_cast<uint8_t>(0x80u >> (bit % 8));
  return IpAddress(bytes);
}

}  // namespace

struct NextHopResolver::Impl {
  Impl(NetlinkClient client_in, NetlinkEvents events_in) : client(std::move(client_in)), events(std::move(events_in)) {}

  Status Drain();
  void OnEvent(const nlmsghdr* message);
  void OnLink(const nlmsghdr* message);
  void OnNeighbour(const nlmsghdr* message);
  void DoubtRoutes(const Prefix& destinations);
  void DoubtRoutes(int address_family);
  void DoubtEverything();

  void FollowReals(const std::set<IpAddress>& reals);
  Status RefreshRoutes();
  Status RefreshLinks();
  Status RefreshNeighbours();
  Status ReadNeighbours(const std::vector<NeighbourKey>& keys);
  Status StartNeighbours(const std::vector<NeighbourKey>& keys);
  Status Release(const std::vector<NeighbourKey>& keys);
  std::set<NeighbourKey> WantedNeighbours() const;
  NextHopState Judge(const IpAddress& real, const Route& route) const;

  NetlinkClient client;
  NetlinkEvents events;
  std::map<IpAddress, KnownRoute> routes;  // by real
  std::map<uint32_t, KnownLink> links;     // every link asked for or heard of, so that idle chatter is told apart
  std::map<NeighbourKey, KnownNeighbour> neighbours;  // exactly the ones some real needs
  bool changed = true;
};

Status NextHopResolver::Impl::Drain() {
  auto complete = events.Drain([this](const nlmsghdr* message) { OnEvent(message); });
  if (!complete) return Context("following routes, links and neighbours", complete.error());
  if (!*complete) DoubtEverything();
  return {};
}

void NextHopResolver::Impl::OnEvent(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return OnNeighbour(message);
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return OnLink(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      if (const auto prefix = ReadRoutePrefix(message)) DoubtRoutes(*prefix);
      return;
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_NEWRULE:
    case RTM_DELRULE:  // these headers all begin with the address family
      if (const auto* header = ReadHeader<rtgenmsg>(message)) DoubtRoutes(header->rtgen_family);
      return;
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP:
      DoubtRoutes(AF_INET);
      DoubtRoutes(AF_INET6);
      return;
    default:
      return;
  }
}

void NextHopResolver::Impl::OnLink(const nlmsghdr* message) {
  const auto link = ReadLink(message);
  if (!link) return;
  const auto known = links.find(link->index);
  if (message->nlmsg_type == RTM_DELLINK) {
    if (known != links.end()) links.erase(known);
  } else {
    if (known != links.end() && known->second.link == *link) return;
    links[link->index] = {.link = *link, .fresh = false};
  }
  // A link that comes or goes also changes which of several routes wins, without a route event.
  DoubtRoutes(AF_INET);
  DoubtRoutes(AF_INET6);
}

void NextHopResolver::Impl::OnNeighbour(const nlmsghdr* message) {
  const auto read = ReadNeighbour(message);
  if (!read) return;
  const auto found = neighbours.find(read->key);
  if (found == neighbours.end()) return;
  KnownNeighbour& known = found->second;
  if (known.neighbour == read->neighbour) return;
  if (read->neighbour.state == Neighbour::State::kFailed && known.failed && read->neighbour.managed) {
    known.neighbour = read->neighbour;  // said already; the kernel goes on trying, and so does the next Resolve()
    return;
  }
  known.fresh = false;
  changed = true;
}

void NextHopResolver::Impl::DoubtRoutes(const Prefix& destinations) {
  const IpAddress last = LastOf(destinations);
  const Family family = destinations.address.family();
  for (auto real = routes.lower_bound(destinations.address); real != routes.end() && real->first <= last; ++real) {
    if (real->first.family() != family) continue;  // ::/0 spans the IPv4-mapped addresses too
    real->second.fresh = false;
    changed = true;
  }
}

void NextHopResolver::Impl::DoubtRoutes(int address_family) {
  if (address_family == AF_INET) DoubtRoutes(Prefix{.address = IpAddress::FromIpv4({}), .length = 0});
  if (address_family == AF_INET6) DoubtRoutes(Prefix{});
}

void NextHopResolver::Impl::DoubtEverything() {
  for (auto& [real, known] : routes) known.fresh = false;
  for (auto& [index, known] : links) known.fresh = false;
  for (auto& [key, known] : neighbours) known.fresh = false;
  changed = true;
}

void NextHopResolver::Impl::FollowReals(const std::set<IpAddress>& reals) {
  auto known = routes.begin();
  for (const IpAddress& real : reals) {
    while (known != routes.end() && known->first < real) known = routes.erase(known);
    if (known != routes.end() && known->first == real)
      ++known;
    else
      routes.emplace_hint(known, real, KnownRoute{});
  }
  routes.erase(known, routes.end());
}

Status NextHopResolver::Impl::RefreshRoutes() {
  std::vector<IpAddress> doubtful;
  std::vector<KnownRoute*> places;
  for (auto& [real, known] : routes) {
    if (known.fresh) continue;
    doubtful.push_back(real);
    places.push_back(&known);
  }
  auto looked_up = LookUpRoutes(client, doubtful);
  if (!looked_up) return std::unexpected(looked_up.error());
  for (size_t i = 0; i < places.size(); ++i) *places[i] = {.route = std::move((*looked_up)[i]), .fresh = true};
  return {};
}

Status NextHopResolver::Impl::RefreshLinks() {
  std::set<uint32_t> wanted;
  for (const auto& [real, known] : routes)
    if (known.route.interface_index != 0) wanted.insert(known.route.interface_index);
  std::vector<uint32_t> doubtful;
  for (uint32_t index : wanted) {
    const auto known = links.find(index);
    if (known == links.end() || !known->second.fresh) doubtful.push_back(index);
  }
  auto looked_up = LookUpLinks(client, doubtful);
  if (!looked_up) return std::unexpected(looked_up.error());
  for (size_t i = 0; i < doubtful.size(); ++i) {
    if ((*looked_up)[i])
      links[doubtful[i]] = {.link = std::move(*(*looked_up)[i]), .fresh = true};
    else
      links.erase(doubtful[i]);  // gone since the route was looked up; its event is under way
  }
  return {};
}

std::set<NeighbourKey> NextHopResolver::Impl::WantedNeighbours() const {
  std::set<NeighbourKey> wanted;
  for (const auto& [real, known] : routes) {
    const auto link = links.find(known.route.interface_index);
    if (link == links.end() || !RouteProblem(real, known.route).empty() || !LinkProblem(link->second.link).empty())
      continue;
    wanted.insert(KeyOf(real, known.route));
  }
  return wanted;
}

Status NextHopResolver::Impl::RefreshNeighbours() {
  const std::set<NeighbourKey> wanted = WantedNeighbours();
  std::vector<NeighbourKey> unwanted;
  for (const auto& [key, known] : neighbours)
    if (!wanted.contains(key)) unwanted.push_back(key);
  if (auto released = Release(unwanted); !released) return released;

  // One to be started is read right before, so that an entry the operator has just fixed is left alone.
  std::vector<NeighbourKey> doubtful;
  for (const NeighbourKey& key : wanted) {
    const KnownNeighbour& known = neighbours[key];
    if (!known.fresh || NeedsStart(known.neighbour)) doubtful.push_back(key);
  }
  if (auto read = ReadNeighbours(doubtful); !read) return read;
  std::erase_if(doubtful, [this](const NeighbourKey& key) { return !NeedsStart(neighbours[key].neighbour); });
  return StartNeighbours(doubtful);
}

Status NextHopResolver::Impl::ReadNeighbours(const std::vector<NeighbourKey>& keys) {
  auto looked_up = LookUpNeighbours(client, keys);
  if (!looked_up) return std::unexpected(looked_up.error());
  for (size_t i = 0; i < keys.size(); ++i) {
    KnownNeighbour& known = neighbours[keys[i]];
    known.neighbour = (*looked_up)[i];
    known.fresh = true;
    if (known.neighbour.state == Neighbour::State::kFailed) known.failed = true;
    if (known.neighbour.state == Neighbour::State::kKnown) known.failed = false;
  }
  return {};
}

Status NextHopResolver::Impl::StartNeighbours(const std::vector<NeighbourKey>& keys) {
  auto errors = ManageNeighbours(client, keys);
  if (!errors) return std::unexpected(errors.error());
  for (size_t i = 0; i < keys.size(); ++i) neighbours[keys[i]].start_error = (*errors)[i];
  return ReadNeighbours(keys);
}

Status NextHopResolver::Impl::Release(const std::vector<NeighbourKey>& keys) {
  auto now = LookUpNeighbours(client, keys);
  if (!now) return std::unexpected(now.error());
  std::vector<NeighbourKey> ours;
  for (size_t i = 0; i < keys.size(); ++i)
    if ((*now)[i].ours && !(*now)[i].fixed) ours.push_back(keys[i]);
  if (auto released = ReleaseNeighbours(client, ours); !released) return released;
  for (const NeighbourKey& key : keys) neighbours.erase(key);
  return {};
}

NextHopState NextHopResolver::Impl::Judge(const IpAddress& real, const Route& route) const {
  std::string problem = RouteProblem(real, route);
  if (!problem.empty()) return {.next_hop = std::nullopt, .problem = std::move(problem)};
  const auto known_link = links.find(route.interface_index);
  if (known_link == links.end())
    return {.next_hop = std::nullopt, .problem = fmt::format("the interface towards {} is gone", real.ToString())};
  const Link& link = known_link->second.link;
  problem = LinkProblem(link);
  if (!problem.empty()) return {.next_hop = std::nullopt, .problem = std::move(problem)};
  const NeighbourKey key = KeyOf(real, route);
  const KnownNeighbour& known = neighbours.at(key);
  problem = NeighbourProblem(key.address, link, known);
  if (!problem.empty()) return {.next_hop = std::nullopt, .problem = std::move(problem)};
  return {
      .next_hop = NextHop{.interface_index = link.index,
                          .local_mac = link.mac,
                          .gateway_mac = known.neighbour.mac,
                          .source = *route.source,
                          .mtu_bytes = route.mtu_bytes ? std::min(route.mtu_bytes, link.mtu_bytes) : link.mtu_bytes},
      .problem = {}};
}

NextHopResolver::NextHopResolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

NextHopResolver::~NextHopResolver() {
  std::vector<NeighbourKey> all;
  for (const auto& [key, known] : impl_->neighbours) all.push_back(key);
  // Nobody is left to hear of a failure; the mark in the entries lets a later resolver release them.
  static_cast<void>(impl_->Release(all));
}

Result<std::unique_ptr<NextHopResolver>> NextHopResolver::Create() {
  auto client = NetlinkClient::Open();
  if (!client) return Context("resolving next hops", client.error());
  auto events = NetlinkEvents::Open(kGroups);
  if (!events) return Context("resolving next hops", events.error());
  return std::unique_ptr<NextHopResolver>(
      new NextHopResolver(std::make_unique<Impl>(std::move(*client), std::move(*events))));
}

int NextHopResolver::fd() const { return impl_->events.fd(); }

Result<bool> NextHopResolver::Changed() {
  if (auto drained = impl_->Drain(); !drained) return std::unexpected(drained.error());
  return impl_->changed;
}

Result<NextHopTable> NextHopResolver::Resolve(const std::set<IpAddress>& reals) {
  Impl& impl = *impl_;
  auto done = impl.Drain();
  if (!done) return std::unexpected(done.error());
  impl.FollowReals(reals);
  done = impl.RefreshRoutes();
  if (done) done = impl.RefreshLinks();
  if (done) done = impl.RefreshNeighbours();
  if (!done) return Context("resolving next hops", done.error());
  impl.changed = false;
  NextHopTable table;
  for (const auto& [real, known] : impl.routes) table.emplace_hint(table.end(), real, impl.Judge(real, known.route));
  return table;
}

}  // namespace shunt

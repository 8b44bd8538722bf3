// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/neighbours.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace shunt {
namespace {

// Marks the entries we manage ("proto" in `ip neigh`), so that a daemon that was killed knows them again.
constexpr uint8_t kOurProtocol = 83;

Neighbour::State ReadState(uint16_t state) {
  if (state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP))
    return Neighbour::State::kKnown;
  return state & NUD_FAILED ? Neighbour::State::kFailed : Neighbour::State::kResolving;
}

ndmsg* PutHeader(nlmsghdr* request, uint16_t type, const NeighbourKey& key) {
  request->nlmsg_type = type;
  auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ndmsg)));
  header->ndm_family = AddressFamily(key.address);
  header->ndm_ifindex = static_cast<int>(key.interface_index);
  PutAddress(request, NDA_DST, key.address);
  return header;
}

}  // namespace

Result<std::vector<Neighbour>> LookUpNeighbours(NetlinkClient& client, std::span<const NeighbourKey> keys) {
  std::vector<Neighbour> neighbours(keys.size());
  auto done = client.Exchange(
      keys.size(), [&](size_t index, nlmsghdr* request) { PutHeader(request, RTM_GETNEIGH, keys[index]); },
      [&](size_t index, const NetlinkReply& reply) {
        if (!reply.message) return;
        if (auto read = ReadNeighbour(reply.message)) neighbours[index] = read->neighbour;
      });
  if (!done) return Context("looking up neighbours", done.error());
  return neighbours;
}

Result<std::vector<int>> ManageNeighbours(NetlinkClient& client, std::span<const NeighbourKey> keys) {
  std::vector<int> errors(keys.size());
  auto done = client.Exchange(
      keys.size(),
      [&](size_t index, nlmsghdr* request) {
        request->nlmsg_flags = NLM_F_CREATE | NLM_F_ACK;
        // NTF_USE starts the resolution on any kernel, and leaves the MAC alone.
        PutHeader(request, RTM_NEWNEIGH, keys[index])->ndm_flags = NTF_USE;
        mnl_attr_put_u32(request, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
        mnl_attr_put_u8(request, NDA_PROTOCOL, kOurProtocol);
      },
      [&](size_t index, const NetlinkReply& reply) { errors[index] = reply.error; });
  if (!done) return Context("starting neighbour discovery", done.error());
  return errors;
}

Status ReleaseNeighbours(NetlinkClient& client, std::span<const NeighbourKey> keys) {
  auto done = client.Exchange(
      keys.size(),
      [&](size_t index, nlmsghdr* request) {
        request->nlmsg_flags = NLM_F_ACK;
        // NTF_USE without NTF_EXT_MANAGED: the flag goes, state and MAC stay.
        PutHeader(request, RTM_NEWNEIGH, keys[index])->ndm_flags = NTF_USE;
      },
      [](size_t, const NetlinkReply&) {});
  if (!done) return Context("releasing neighbours", done.error());
  return {};
}

std::optional<NeighbourMessage> ReadNeighbour(const nlmsghdr* message) {
  const auto* header = ReadHeader<ndmsg>(message);
  if (!header) return std::nullopt;
  const auto attributes = ReadAttributes<NDA_MAX + 1>(message, sizeof(ndmsg));
  const auto address = ReadAddress(attributes[NDA_DST], header->ndm_family);
  if (!address) return std::nullopt;

  NeighbourMessage read{.key = {static_cast<uint32_t>(header->ndm_ifindex), *address}, .neighbour = {}};
  if (message->nlmsg_type == RTM_DELNEIGH) return read;
  Neighbour& neighbour = read.neighbour;
  neighbour.state = ReadState(header->ndm_state);
  const nlattr* mac = attributes[NDA_LLADDR];
  if (neighbour.state == Neighbour::State::kKnown) {
    if (mac && mnl_attr_get_payload_len(mac) == neighbour.mac.bytes.size())
      std::memcpy(neighbour.mac.bytes.data(), mnl_attr_get_payload(mac), neighbour.mac.bytes.size());
    else
      neighbour.state = Neighbour::State::kResolving;
  }
  neighbour.fixed = (header->ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0 || (header->ndm_flags & NTF_EXT_LEARNED);
  neighbour.managed = (ReadU32(attributes[NDA_FLAGS_EXT]).value_or(0) & NTF_EXT_MANAGED) != 0;
  neighbour.ours = neighbour.managed && ReadU8(attributes[NDA_PROTOCOL]).value_or(0) == kOurProtocol;
  return read;
}

}  // namespace shunt

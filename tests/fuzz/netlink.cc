// SPDX-License-Identifier: Apache-2.0
// Messages of rtnetlink, one behind the other as a socket gives them: each is about a link, a route, a neighbour or
// nothing. In memory that ends where the bytes end.
#include "userspace/net/netlink.h"

#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzzing.h"
#include "userspace/net/links.h"
#include "userspace/net/neighbours.h"
#include "userspace/net/routes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  const std::vector<char> bytes(data, data + size);
  ForEachMessage(bytes, [&](const nlmsghdr* message) {
    if (const auto link = ReadLink(message)) {
      Require(link->name.size() < size, "a name is no longer than its message");
      LinkProblem(*link);
    }
    if (const auto prefix = ReadRoutePrefix(message)) {
      Require(prefix->length <= (prefix->address.family() == Family::kIpv4 ? 32 : 128),
              "a prefix is no longer than an address");
      prefix->Contains(prefix->address);
    }
    if (const auto neighbour = ReadNeighbour(message)) {
      Require(IpAddress::Parse(neighbour->key.address.ToString()).has_value(), "an address has a text");
    }
  });
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// Text of ids: see id_text.h. Written here because the library stands alone and may not use the network layer's types.
#include "maglev/id_text.h"

#include <algorithm>
#include <cstdio>

namespace shunt::maglev {
namespace {

constexpr std::array<uint8_t, 12> kV4MappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kGroups = 8;

struct ZeroRun {
  int first = kGroups;
  int length = 1;  // a single zero group is not shortened
};

ZeroRun LongestZeroRun(const std::array<unsigned, kGroups>& groups) {
  ZeroRun longest;
  for (int first = 0; first < kGroups; ++first) {
    int end = first;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - first > longest.length) longest = {first, end - first};
  }
  return longest;
}

std::string Ipv6Text(const std::array<uint8_t, 16>& id) {
  std::array<unsigned, kGroups> groups{};
  for (size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<unsigned>(id[2 * i]) << 8 | id[2 * i + 1];
  const ZeroRun zeros = LongestZeroRun(groups);
  std::string text;
  for (int i = 0; i < kGroups;) {
    if (i == zeros.first) {
      text += "::";
      i += zeros.length;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    char group[8];
    std::snprintf(group, sizeof group, "%x", groups[i++]);
    text += group;
  }
  return text;
}

}  // namespace

std::string IdText(const std::array<uint8_t, 16>& id) {
  if (!std::equal(kV4MappedPrefix.begin(), kV4MappedPrefix.end(), id.begin())) return Ipv6Text(id);
  return std::to_string(id[12]) + '.' + std::to_string(id[13]) + '.' + std::to_string(id[14]) + '.' +
         std::to_string(id[15]);
}

}  // namespace shunt::maglev

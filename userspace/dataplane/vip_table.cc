// SPDX-License-Identifier: Apache-2.0
// Hash, displace and compress (Belazzougui, Botelho, Dietzfelbinger 2009): keys fall into groups of about four; from
// the largest group on, each looks for the first displacement that takes all its keys to lines which are still empty.
#include "userspace/dataplane/vip_table.h"

#include <shunt/abi_vip_table.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "userspace/dataplane/encode.h"

namespace shunt {
namespace {

constexpr uint32_t kLeastLines = 1024;
constexpr uint32_t kLinesPerGroup = 8;
constexpr uint32_t kMaxDisplacement = 65535;
constexpr uint32_t kSeedsTried = 64;  // one in a thousand or less fails

uint64_t HashOf(uint64_t control, const shunt_vip& vip) {
  uint32_t service = 0;
  std::memcpy(&service, &vip.port, sizeof(service));  // port, protocol and a zero, as they stand in memory
  return shunt_vip_hash(control, vip.address.halves[0], vip.address.halves[1], service);
}

// The hashes of all keys, group by group.
struct Grouped {
  std::vector<uint32_t> begin;    // of each group, in `keys`; one more at the end
  std::vector<uint32_t> keys;     // positions in the list of VIPs
  std::vector<uint64_t> hashes;   // by position in the list of VIPs
  std::vector<uint32_t> by_size;  // groups that have keys, largest first
};

Grouped Group(std::span<const shunt_vip> vips, uint64_t control, uint32_t groups) {
  Grouped grouped;
  grouped.begin.resize(groups + 1);
  grouped.keys.resize(vips.size());
  for (const shunt_vip& vip : vips) {
    grouped.hashes.push_back(HashOf(control, vip));
    ++grouped.begin[shunt_vip_group(grouped.hashes.back(), groups)];
  }
  for (uint32_t group = 0; group < groups; ++group)
    if (grouped.begin[group] > 0) grouped.by_size.push_back(group);
  std::ranges::sort(grouped.by_size, std::ranges::greater(), [&](uint32_t group) { return grouped.begin[group]; });
  uint32_t end = 0;
  for (uint32_t& begin : grouped.begin) begin = end += begin;
  for (uint32_t key = 0; key < vips.size(); ++key)
    grouped.keys[--grouped.begin[shunt_vip_group(grouped.hashes[key], groups)]] = key;
  return grouped;
}

// Takes the group's keys to empty lines, which it marks; unset if no displacement does.
std::optional<uint16_t> Displace(std::span<const uint32_t> keys, std::span<const uint64_t> hashes,
                                 std::vector<bool>& used, std::vector<uint32_t>& line_of) {
  const auto lines = static_cast<uint32_t>(used.size());
  for (uint32_t displacement = 0; displacement < lines && displacement <= kMaxDisplacement; ++displacement) {
    size_t placed = 0;
    for (; placed < keys.size(); ++placed) {
      const uint32_t line = shunt_vip_line(hashes[keys[placed]], displacement, lines);
      if (used[line]) break;
      used[line] = true;
      line_of[keys[placed]] = line;
    }
    if (placed == keys.size()) return static_cast<uint16_t>(displacement);
    while (placed > 0) used[line_of[keys[--placed]]] = false;
  }
  return std::nullopt;
}

std::optional<VipTable> TryBuild(std::span<const shunt_vip> vips, const VipTableSize& size, uint64_t control) {
  const Grouped grouped = Group(vips, control, size.groups);
  VipTable table;
  table.control = control;
  table.displacements.resize(size.groups);
  std::vector<bool> used(size.lines);
  std::vector<uint32_t> line_of(vips.size());
  for (const uint32_t group : grouped.by_size) {
    const auto keys =
        std::span(grouped.keys).subspan(grouped.begin[group], grouped.begin[group + 1] - grouped.begin[group]);
    const auto displacement = Displace(keys, grouped.hashes, used, line_of);
    if (!displacement) return std::nullopt;
    table.displacements[group] = *displacement;
  }
  table.lines.reserve(vips.size());
  for (size_t key = 0; key < vips.size(); ++key) table.lines.push_back({line_of[key], vips[key]});
  return table;
}

bool IsAnyPort(const shunt_vip& vip) { return vip.protocol != 0 && vip.port == 0; }

}  // namespace

VipTableSize VipTableSizeFor(uint32_t max_vips) {
  const auto lines = static_cast<uint32_t>(std::bit_ceil(std::max<uint64_t>(uint64_t{4} * max_vips, kLeastLines)));
  return {lines, lines / kLinesPerGroup};
}

Result<VipTable> BuildVipTable(std::span<const shunt_vip> vips, const VipTableSize& size, uint32_t seed) {
  const std::string doing = "building the VIP table";
  if (vips.size() > size.lines / 2) {
    return Fail(ErrorKind::kInvalid, doing + ": " + std::to_string(vips.size()) +
                                         " VIPs and addresses are given, there is room for " +
                                         std::to_string(size.lines / 2));
  }
  const uint64_t any_port = std::ranges::any_of(vips, IsAnyPort) ? SHUNT_VIP_TABLE_ANY_PORT : 0;
  for (uint32_t tried = 0; tried < kSeedsTried; ++tried) {
    const uint64_t control = SHUNT_VIP_TABLE_SEED(static_cast<uint64_t>(seed + tried) << 32) | any_port;
    if (auto table = TryBuild(vips, size, control)) return std::move(*table);
  }
  return Fail(ErrorKind::kSystem, doing + ": no hash of " + std::to_string(kSeedsTried) + " keeps " +
                                      std::to_string(vips.size()) + " VIPs and addresses apart; is one there twice?");
}

std::vector<shunt_vip> VipsIn(std::span<const shunt_vip> half) {
  constexpr shunt_vip kEmpty{};
  std::vector<shunt_vip> vips;
  std::ranges::copy_if(half, std::back_inserter(vips),
                       [&](const shunt_vip& line) { return std::memcmp(&line, &kEmpty, sizeof(line)) != 0; });
  return vips;
}

}  // namespace shunt

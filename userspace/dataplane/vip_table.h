// SPDX-License-Identifier: Apache-2.0
// One half of the VIP table as the program looks it up: a perfect hash over all VIPs and their addresses
// (bpf/include/shunt/abi_vip_table.h). Pure; any thread. Not here: the maps that it is written to (kernel_tables.cc).
#pragma once

#include <shunt/abi_types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "userspace/base/result.h"

namespace shunt {

// Sizes of one half.
struct VipTableSize {
  uint32_t lines = 0;   // a power of two
  uint32_t groups = 0;  // displacements; a power of two, 32 or more
};
// Room for so many VIPs and as many addresses, with every other line empty, so that a table is quickly made.
VipTableSize VipTableSizeFor(uint32_t max_vips);

struct VipTable {
  struct Line {
    uint32_t number = 0;  // within the half
    shunt_vip vip{};
  };
  uint64_t control = 0;  // shunt_control.vip_table, but for the half
  std::vector<Line> lines;
  std::vector<uint16_t> displacements;
};

// `vips`: no two of the same address, port and protocol, as many as the size has room for. `seed` is where the search
// for a hash begins: any number.
Result<VipTable> BuildVipTable(std::span<const shunt_vip> vips, const VipTableSize& size, uint32_t seed);

// The lines of a half that are not empty, addresses' own ones included.
std::vector<shunt_vip> VipsIn(std::span<const shunt_vip> half);

}  // namespace shunt

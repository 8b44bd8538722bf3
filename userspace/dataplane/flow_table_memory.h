// SPDX-License-Identifier: Apache-2.0
// The flow table as user space reads it and drops from it while packets enter and touch flows: places, one word each,
// and beside them whose flow it is. Works on memory, wherever that comes from (kernel_flows.cc: mapped). Any thread.
#pragma once

#include <shunt/abi_types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "userspace/dataplane/dataplane.h"

namespace shunt {

struct FlowTableMemory {
  std::span<shunt_flow_line> lines;  // a power of two of them
  std::span<shunt_flow_keys> keys;   // as many
};

// Lines for so many flows: a table filled by hash needs a third more room than it has flows.
uint64_t FlowLinesFor(uint32_t max_flows);

// By VIP id; unset: no such VIP is known.
using FlowHashKeys = std::vector<std::optional<FlowHashKey>>;

// What stands at a place; unset if it is free. The word of an entry and the key beside it are written one after the
// other, so a key is believed where its hash leads to that place and tag. One that is not believed is being written, or
// left over from another hash key or another VIP: it is told only after a while without packets, and then of a VIP that
// is not known, or of none (vip_id 0).
std::optional<FlowEntry> ReadFlowPlace(const FlowTableMemory& table, uint64_t place, const FlowHashKeys& hash_keys);

// Frees the place if what stands there is still what was read.
bool DropFlowPlace(const FlowTableMemory& table, const FlowRef& flow);

// Enters a flow that another table remembered: the marks and the stamp are its entry's, the real and the VIP its
// flow's. One that stands here already stays as it is. False: its line is full.
bool EnterFlow(const FlowTableMemory& table, const FlowEntry& entry, const FlowHashKey& hash_key);

// The second now, on the clock of the program's stamps.
uint32_t FlowClockSeconds();

}  // namespace shunt

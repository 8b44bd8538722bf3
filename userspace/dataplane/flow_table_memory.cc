// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/flow_table_memory.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "userspace/dataplane/encode.h"
#include "userspace/dataplane/flow_hash.h"

namespace shunt {
namespace {

constexpr uint32_t kDisbelievedSeconds = 30;  // without packets, until an entry with a strange key is told

std::atomic_ref<__u64> WordAt(const FlowTableMemory& table, uint64_t place) {
  return std::atomic_ref(table.lines[place / SHUNT_FLOWS_PER_LINE].entries[place % SHUNT_FLOWS_PER_LINE]);
}

RememberedFlow FlowOf(const shunt_flow_key& key, uint16_t real_index) {
  return {key.vip_id,
          {DecodeAddress(key.source), DecodePort(key.source_port)},
          DecodePort(key.destination_port),
          real_index};
}

// Whether the flow's hash leads to this place and tag.
bool LeadsTo(const RememberedFlow& flow, const FlowHashKey& hash_key, uint64_t word, uint64_t line, size_t lines) {
  const uint64_t hash = FlowHash(hash_key, flow.source, flow.destination_port);
  return static_cast<uint32_t>(hash >> 32) == word >> SHUNT_FLOW_TAG_SHIFT &&
         (static_cast<uint32_t>(hash) & (lines - 1)) == line;
}

}  // namespace

uint64_t FlowLinesFor(uint32_t max_flows) {
  const uint64_t places = uint64_t{max_flows} * 4 / 3;
  return std::bit_ceil(std::max<uint64_t>(1, (places + SHUNT_FLOWS_PER_LINE - 1) / SHUNT_FLOWS_PER_LINE));
}

std::optional<FlowEntry> ReadFlowPlace(const FlowTableMemory& table, uint64_t place, const FlowHashKeys& hash_keys) {
  const uint64_t word = WordAt(table, place).load(std::memory_order_acquire);
  const auto real_index = static_cast<uint16_t>((word >> SHUNT_FLOW_REAL_SHIFT) & SHUNT_FLOW_REAL_MASK);
  if (real_index == 0) return std::nullopt;
  FlowEntry entry;
  entry.ref = {place, word};
  entry.confirmed = (word & SHUNT_FLOW_CONFIRMED) != 0;
  entry.closing = (word & SHUNT_FLOW_CLOSING) != 0;
  // The clock is read after the word, so that no packet seems to come from the future.
  entry.idle_seconds = (FlowClockSeconds() - static_cast<uint32_t>(word)) & SHUNT_FLOW_STAMP_MASK;
  const uint64_t line = place / SHUNT_FLOWS_PER_LINE;
  entry.flow = FlowOf(table.keys[line].keys[place % SHUNT_FLOWS_PER_LINE], real_index);
  const uint32_t vip_id = entry.flow.vip_id;
  const bool known = vip_id < hash_keys.size() && hash_keys[vip_id];
  if (known && LeadsTo(entry.flow, *hash_keys[vip_id], word, line, table.lines.size())) return entry;
  if (entry.idle_seconds < kDisbelievedSeconds) return std::nullopt;
  if (known) entry.flow.vip_id = 0;
  return entry;
}

bool DropFlowPlace(const FlowTableMemory& table, const FlowRef& flow) {
  __u64 expected = flow.word;
  return WordAt(table, flow.place).compare_exchange_strong(expected, 0, std::memory_order_relaxed);
}

bool EnterFlow(const FlowTableMemory& table, const FlowEntry& entry, const FlowHashKey& hash_key) {
  const RememberedFlow& flow = entry.flow;
  const uint64_t hash = FlowHash(hash_key, flow.source, flow.destination_port);
  const uint64_t line = static_cast<uint32_t>(hash) & (table.lines.size() - 1);
  const uint64_t marks = entry.ref.word & (SHUNT_FLOW_CONFIRMED | SHUNT_FLOW_CLOSING | SHUNT_FLOW_STAMP_MASK);
  const uint64_t word =
      (hash >> 32) << SHUNT_FLOW_TAG_SHIFT | uint64_t{flow.real_index} << SHUNT_FLOW_REAL_SHIFT | marks;
  const uint64_t first = line * SHUNT_FLOWS_PER_LINE;
  for (uint64_t place = first; place < first + SHUNT_FLOWS_PER_LINE; ++place) {
    const uint64_t there = WordAt(table, place).load(std::memory_order_acquire);
    const bool is_taken = ((there >> SHUNT_FLOW_REAL_SHIFT) & SHUNT_FLOW_REAL_MASK) != 0;
    if (is_taken && there >> SHUNT_FLOW_TAG_SHIFT == hash >> 32) return true;
  }
  for (uint64_t place = first; place < first + SHUNT_FLOWS_PER_LINE; ++place) {
    __u64 there = WordAt(table, place).load(std::memory_order_acquire);
    if (((there >> SHUNT_FLOW_REAL_SHIFT) & SHUNT_FLOW_REAL_MASK) != 0) continue;
    if (!WordAt(table, place).compare_exchange_strong(there, word, std::memory_order_acq_rel)) continue;
    table.keys[line].keys[place - first] = {.source = EncodeAddress(flow.source.address),
                                            .vip_id = flow.vip_id,
                                            .source_port = EncodePort(flow.source.port),
                                            .destination_port = EncodePort(flow.destination_port)};
    return true;
  }
  return false;
}

uint32_t FlowClockSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint32_t>(now.tv_sec);
}

}  // namespace shunt

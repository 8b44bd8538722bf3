// SPDX-License-Identifier: Apache-2.0
// The flow table as user space reads it, on memory that the tests fill as the program does.
#include "userspace/dataplane/flow_table_memory.h"

#include <bit>
#include <catch2/catch.hpp>

#include "userspace/dataplane/encode.h"
#include "userspace/dataplane/flow_hash.h"

namespace shunt {
namespace {

constexpr uint32_t kVip = 3;
constexpr FlowHashKey kHashKey = {0x0123456789abcdef, 0xfedcba9876543210};

class Table {
 public:
  explicit Table(size_t lines) : lines_(lines), keys_(lines) { hash_keys_[kVip] = kHashKey; }

  // Enters a flow as the program does; returns its place.
  uint64_t Enter(const RememberedFlow& flow, uint32_t idle_seconds, bool confirmed) {
    const uint64_t hash = FlowHash(kHashKey, flow.source, flow.destination_port);
    const uint64_t line = static_cast<uint32_t>(hash) % lines_.size();
    uint64_t entry = 0;
    while (lines_[line].entries[entry] != 0) ++entry;
    lines_[line].entries[entry] = hash >> 32 << SHUNT_FLOW_TAG_SHIFT | (confirmed ? SHUNT_FLOW_CONFIRMED : 0) |
                                  uint64_t{flow.real_index} << SHUNT_FLOW_REAL_SHIFT |
                                  ((FlowClockSeconds() - idle_seconds) & SHUNT_FLOW_STAMP_MASK);
    KeyAt(line * SHUNT_FLOWS_PER_LINE + entry) = {EncodeAddress(flow.source.address), flow.vip_id,
                                                  EncodePort(flow.source.port), EncodePort(flow.destination_port)};
    return line * SHUNT_FLOWS_PER_LINE + entry;
  }
  shunt_flow_key& KeyAt(uint64_t place) {
    return keys_[place / SHUNT_FLOWS_PER_LINE].keys[place % SHUNT_FLOWS_PER_LINE];
  }
  FlowTableMemory memory() { return {lines_, keys_}; }
  FlowHashKeys& hash_keys() { return hash_keys_; }
  std::optional<FlowEntry> Read(uint64_t place) { return ReadFlowPlace(memory(), place, hash_keys_); }
  bool IsEmptyBut(uint64_t kept) {
    for (uint64_t place = 0; place < lines_.size() * SHUNT_FLOWS_PER_LINE; ++place)
      if (place != kept && Read(place)) return false;
    return true;
  }

 private:
  std::vector<shunt_flow_line> lines_;
  std::vector<shunt_flow_keys> keys_;
  FlowHashKeys hash_keys_ = FlowHashKeys(8);
};

RememberedFlow Flow(uint16_t port = 40000, uint32_t vip_id = kVip) {
  return {vip_id, Endpoint::Parse("198.51.100.7:" + std::to_string(port)).value(), 443, 7};
}

}  // namespace

TEST_CASE("A remembered flow is read as it was entered, with the time since its last packet") {
  for (const uint32_t idle : {0u, 1u, 600u, 30000u, 32000u}) {
    for (const bool confirmed : {true, false}) {
      Table table(16);
      const uint64_t place = table.Enter(Flow(), idle, confirmed);
      const auto entry = table.Read(place);
      REQUIRE(entry);
      CHECK(entry->flow == Flow());
      CHECK(entry->ref.place == place);
      CHECK(entry->confirmed == confirmed);
      CHECK(entry->idle_seconds >= idle);
      CHECK(entry->idle_seconds <= idle + 60);
      CHECK(table.IsEmptyBut(place));
    }
  }
}

TEST_CASE("Flows of IPv6 clients are believed too") {
  Table table(16);
  RememberedFlow flow = Flow();
  flow.source = Endpoint::Parse("[2001:db8:c::7]:1").value();
  const auto entry = table.Read(table.Enter(flow, 0, true));
  REQUIRE(entry);
  CHECK(entry->flow == flow);
}

TEST_CASE("An entry whose key does not lead to it is not told while packets come, and of no VIP when they do not") {
  for (const auto& [idle, told] : {std::pair{0u, false}, {20u, false}, {31u, true}, {600u, true}}) {
    Table table(16);
    const uint64_t place = table.Enter(Flow(), idle, true);
    const uint64_t other = table.Enter(Flow(40001), idle, true);
    REQUIRE(place / SHUNT_FLOWS_PER_LINE != other / SHUNT_FLOWS_PER_LINE);
    table.KeyAt(place) = table.KeyAt(other);  // written for another flow
    const auto entry = table.Read(place);
    REQUIRE(entry.has_value() == told);
    if (told) CHECK(entry->flow.vip_id == 0);
    REQUIRE(table.Read(other));
    CHECK(table.Read(other)->flow == Flow(40001));
  }
}

TEST_CASE("An entry whose key has another tag but leads to the same line is not believed") {
  Table table(1);
  const uint64_t place = table.Enter(Flow(), 0, true);
  table.KeyAt(place).source_port = EncodePort(40001);
  CHECK_FALSE(table.Read(place));
}

TEST_CASE("Entries of an old hash key are told of no VIP after a while") {
  Table table(16);
  const uint64_t place = table.Enter(Flow(), 600, true);
  table.hash_keys()[kVip] = FlowHashKey{1, 2};
  REQUIRE(table.Read(place));
  CHECK(table.Read(place)->flow.vip_id == 0);
}

TEST_CASE("Entries of a VIP that is not known are told with its id, but not while their key may be being written") {
  for (const uint32_t vip_id : {5u, 4000u}) {
    Table table(16);
    CHECK_FALSE(table.Read(table.Enter(Flow(1, vip_id), 0, true)));
    const auto entry = table.Read(table.Enter(Flow(2, vip_id), 40, true));
    REQUIRE(entry);
    CHECK(entry->flow.vip_id == vip_id);
  }
}

TEST_CASE("A place is freed only while it holds what was read") {
  Table table(16);
  const uint64_t place = table.Enter(Flow(), 5, false);
  const FlowRef as_read = table.Read(place)->ref;
  table.memory().lines[place / SHUNT_FLOWS_PER_LINE].entries[place % SHUNT_FLOWS_PER_LINE] |= SHUNT_FLOW_CONFIRMED;
  CHECK_FALSE(DropFlowPlace(table.memory(), as_read));
  CHECK(DropFlowPlace(table.memory(), table.Read(place)->ref));
  CHECK_FALSE(table.Read(place));
  CHECK_FALSE(DropFlowPlace(table.memory(), as_read));
}

TEST_CASE("The flow table has a power of two of lines, with a third more places than flows") {
  for (const uint32_t flows : {1u, 6u, 128u, 262144u, 1000000u, 4294967295u}) {
    const uint64_t lines = FlowLinesFor(flows);
    CHECK(std::has_single_bit(lines));
    CHECK(lines * SHUNT_FLOWS_PER_LINE >= uint64_t{flows} * 4 / 3);
    CHECK(lines <= UINT32_MAX);
  }
  CHECK(FlowLinesFor(6) == 1);
  CHECK(FlowLinesFor(262144) == 65536);
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/flow_memory.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <tuple>

namespace shunt::test {

std::vector<FlowEntry> FlowEntries(Harness& harness) {
  auto entries = harness.kernel().ReadFlowEntries(0, harness.kernel().flow_places());
  INFO((entries ? "" : entries.error().message));
  REQUIRE(entries);
  std::ranges::sort(*entries, {}, &FlowEntry::flow);
  return std::move(*entries);
}

Refusals RefusalsOf(Harness& harness, const VipKey& vip) {
  const uint32_t id = harness.plan().vips.at(vip).entry.id;
  const auto refusals = harness.kernel().ReadRefusals(std::span(&id, 1));
  INFO((refusals ? "" : refusals.error().message));
  REQUIRE(refusals);
  REQUIRE(refusals->size() == 1);
  return refusals->front();
}

void CheckSameMemory(Harness& harness) {
  using Remembered = std::tuple<FlowKey, uint16_t, bool, bool>;
  std::vector<Remembered> program;
  for (const FlowEntry& entry : FlowEntries(harness)) {
    const auto& [vip_id, source, destination_port, real_index] = entry.flow;
    program.push_back({{vip_id, source, destination_port}, real_index, entry.confirmed, entry.closing});
  }
  std::vector<Remembered> model;
  for (const auto& [key, flow] : harness.tables().flows) {
    model.push_back({key, flow.real_index, flow.confirmed, flow.closing});
  }
  REQUIRE(program.size() == model.size());
  REQUIRE(std::ranges::equal(program, model));  // both are in the order of flows
  for (const auto& [key, vip] : harness.plan().vips) {
    const auto refused = harness.tables().refusals.find(vip.entry.id);
    INFO(key.ToString());
    REQUIRE(RefusalsOf(harness, key).count == (refused == harness.tables().refusals.end() ? 0 : refused->second.count));
  }
}

}  // namespace shunt::test

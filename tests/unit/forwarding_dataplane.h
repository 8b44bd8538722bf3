// SPDX-License-Identifier: Apache-2.0
// For tests that want a data plane which is wrong in one thing: passes everything on to a MemoryDataplane; a test
// overrides what shall be wrong.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "userspace/dataplane/memory_dataplane.h"

namespace shunt::testing {

class ForwardingDataplane : public Dataplane {
 public:
  explicit ForwardingDataplane(const Capacities& capacities) : memory_(capacities) {}

  Capacities capacities() const override { return memory_.capacities(); }
  Result<Plan> Read() override { return memory_.Read(); }
  Status SetReals(std::span<const RealWrite> reals) override { return memory_.SetReals(reals); }
  Status ClearReals(std::span<const uint32_t> entries) override { return memory_.ClearReals(entries); }
  Status SetVips(const Plan& plan) override { return memory_.SetVips(plan); }
  Status SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring, std::span<const uint32_t> slots) override {
    return memory_.SetSlots(vip_id, ring, slots);
  }
  Status Synchronize() override { return memory_.Synchronize(); }
  uint64_t flow_places() const override { return memory_.flow_places(); }
  Result<std::vector<FlowEntry>> ReadFlowEntries(uint64_t first_place, uint64_t places) override {
    return memory_.ReadFlowEntries(first_place, places);
  }
  Result<size_t> DropFlows(std::span<const FlowRef> flows) override { return memory_.DropFlows(flows); }
  Result<std::vector<Refusals>> ReadRefusals(std::span<const uint32_t> vip_ids) override {
    return memory_.ReadRefusals(vip_ids);
  }
  Result<std::vector<RememberedFlow>> ReadFlows(size_t limit) override { return memory_.ReadFlows(limit); }
  Status ForgetFlowsExcept(const Plan& plan) override { return memory_.ForgetFlowsExcept(plan); }
  Status ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) override {
    return memory_.ResetTraffic(vip_ids, entries);
  }
  Status CarryTraffic(uint32_t from, uint32_t to) override { return memory_.CarryTraffic(from, to); }
  Result<std::vector<Traffic>> ReadVipTraffic(std::span<const uint32_t> vip_ids) override {
    return memory_.ReadVipTraffic(vip_ids);
  }
  Result<std::vector<Traffic>> ReadRealTraffic(std::span<const uint32_t> entries) override {
    return memory_.ReadRealTraffic(entries);
  }
  Result<std::vector<VerdictCount>> ReadVerdicts() override { return memory_.ReadVerdicts(); }
  Result<std::vector<double>> ReadFlowEstimates(std::span<const uint32_t> entries) override {
    return memory_.ReadFlowEstimates(entries);
  }
  Status TurnFlowEstimates() override { return memory_.TurnFlowEstimates(); }
  Result<FrameResult> RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) override {
    return memory_.RunFrame(frame, ingress_ifindex);
  }
  Result<std::optional<std::vector<uint8_t>>> Forward(std::span<const uint8_t> frame,
                                                      uint32_t ingress_ifindex) override {
    return memory_.Forward(frame, ingress_ifindex);
  }

  MemoryDataplane& memory() { return memory_; }

 private:
  MemoryDataplane memory_;
};

}  // namespace shunt::testing

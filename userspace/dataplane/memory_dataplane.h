// SPDX-License-Identifier: Apache-2.0
// The data plane's twin in plain C++: the same tables in std::map and the same packet walk written
// independently of the BPF program (packet_model.h). The planner's and the controller's tests run on it, and
// the contract tests hold it and the kernel's against each other. Its clock and its allowance of new entries can be
// the test's own.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt {

uint32_t MonotonicSeconds();  // CLOCK_MONOTONIC_COARSE

class MemoryDataplane final : public Dataplane {
 public:
  explicit MemoryDataplane(const Capacities& capacities, uint32_t max_vlan_tags = 2,
                           std::function<uint32_t()> now_s = MonotonicSeconds);

  // Entries that one second may make for VIPs without tracking all; at first there is no limit.
  void set_flow_entries_per_second(uint32_t entries);

  Capacities capacities() const override;
  Result<Plan> Read() override;
  Status SetReals(std::span<const RealWrite> reals) override;
  Status ClearReals(std::span<const uint32_t> entries) override;
  Status SetVips(const Plan& plan) override;
  Status SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring, std::span<const uint32_t> slots) override;
  Status Synchronize() override;
  uint64_t flow_places() const override;
  Result<std::vector<FlowEntry>> ReadFlowEntries(uint64_t first_place, uint64_t places) override;
  Result<size_t> DropFlows(std::span<const FlowRef> flows) override;
  Result<std::vector<Refusals>> ReadRefusals(std::span<const uint32_t> vip_ids) override;
  Result<std::vector<RememberedFlow>> ReadFlows(size_t limit) override;
  Status ForgetFlowsExcept(const Plan& plan) override;
  Status ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) override;
  Status CarryTraffic(uint32_t from, uint32_t to) override;
  Result<std::vector<Traffic>> ReadVipTraffic(std::span<const uint32_t> vip_ids) override;
  Result<std::vector<Traffic>> ReadRealTraffic(std::span<const uint32_t> entries) override;
  Result<std::vector<VerdictCount>> ReadVerdicts() override;
  Result<std::vector<double>> ReadFlowEstimates(std::span<const uint32_t> entries) override;
  Status TurnFlowEstimates() override;
  Result<FrameResult> RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) override;
  Result<std::optional<std::vector<uint8_t>>> Forward(std::span<const uint8_t> frame,
                                                      uint32_t ingress_ifindex) override;

 private:
  using Flows = std::map<FlowKey, TrackedFlow>;

  // Where an entry of tables_.flows stands, as long as it is there.
  struct Place {
    std::optional<Flows::iterator> flow;  // unset: free
    uint32_t tenancy = 0;                 // how many entries have stood here
    uint64_t Word() const;                // FlowRef's; `flow` is set
  };

  void TellTime();
  void Remember(const Walk& walk);
  Place& PlaceOf(const FlowKey& flow);  // of one that is in the table
  void Forget(Place& place);
  void ForgetSilentLongest();

  mutable std::mutex mutex_;  // guards everything below
  const Capacities capacities_;
  const uint32_t max_vlan_tags_;
  const std::function<uint32_t()> now_s_;
  DataplaneTables tables_;
  std::vector<Place> places_;          // at most max_flows
  std::vector<uint64_t> free_places_;  // of places_
  uint32_t flow_entries_per_second_ = UINT32_MAX;
  uint32_t entries_made_ = 0;                 // in the second tables_.now_s
  std::map<uint32_t, Traffic> vip_traffic_;   // by VIP id
  std::map<uint32_t, Traffic> real_traffic_;  // by entry
  std::vector<VerdictCount> verdicts_;        // in the order of AllVerdicts()

  // Hashes of the flows of each real, by entry: since the last turn, and in the interval before it.
  using FlowsSeen = std::map<uint32_t, std::unordered_set<uint64_t>>;
  std::array<FlowsSeen, 2> flows_seen_;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The data plane's twin in plain C++: the same tables in std::map and the same packet walk written
// independently of the BPF program (packet_model.h). The planner's and the controller's tests run on it, and
// the contract tests hold it and the kernel's against each other.
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt {

class MemoryDataplane final : public Dataplane {
 public:
  explicit MemoryDataplane(const Capacities& capacities, uint32_t max_vlan_tags = 2);

  Capacities capacities() const override;
  Result<Plan> Read() override;
  Status SetReals(std::span<const RealWrite> reals) override;
  Status ClearReals(std::span<const uint32_t> entries) override;
  Status SetRings(std::span<const RingWrite> rings) override;
  Status RemoveRing(uint32_t ring_index) override;
  Status SetVip(const VipKey& key, const VipEntry& entry) override;
  Status RemoveVip(const VipKey& key) override;
  Status SetAddress(const IpAddress& address, const AddressEntry& entry) override;
  Status RemoveAddress(const IpAddress& address) override;
  Status ForgetFlowsExcept(const Plan& plan) override;
  Status ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) override;
  Status CarryTraffic(uint32_t from, uint32_t to) override;
  Result<std::vector<Traffic>> ReadVipTraffic(std::span<const uint32_t> vip_ids) override;
  Result<std::vector<Traffic>> ReadRealTraffic(std::span<const uint32_t> entries) override;
  Result<std::vector<VerdictCount>> ReadVerdicts() override;
  Result<std::vector<RememberedFlow>> ReadFlows(size_t limit) override;
  Result<FrameResult> RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) override;

 private:
  mutable std::mutex mutex_;  // guards everything below
  const Capacities capacities_;
  const uint32_t max_vlan_tags_;
  DataplaneTables tables_;
  std::map<uint32_t, Traffic> vip_traffic_;   // by VIP id
  std::map<uint32_t, Traffic> real_traffic_;  // by entry
  std::vector<VerdictCount> verdicts_;        // in the order of AllVerdicts()
};

}  // namespace shunt

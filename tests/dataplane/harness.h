// SPDX-License-Identifier: Apache-2.0
// One frame at a time through the program and through the packet model, with what must hold for every frame asserted
// each time: exactly one verdict, the counters' sum, bytes of what is not encapsulated, and that both agree.
#pragma once

#include <memory>

#include "tests/dataplane/frames.h"
#include "tests/dataplane/plans.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt::test {

inline constexpr Capacities kCapacities{.max_vips = 64, .max_reals = 1024, .max_flows = 65536};

class Harness {
 public:
  // So many entries may each CPU make in the flow table in a second. What that means for a frame is the caller's to
  // tell the model, by tables().
  explicit Harness(const Plan& plan, uint32_t max_vlan_tags = 2, uint32_t flow_entries_per_second = UINT32_MAX);

  // Throws (Catch) unless all of the above holds.
  FrameResult Run(const Bytes& frame, uint32_t ingress_ifindex = kIngress);
  // The same frame in a buffer without room in front of it. Only the verdict is told.
  uint32_t RunWithoutHeadroom(const Bytes& frame);

  // For many frames: the verdict is one, but agreement is the caller's to assert, and CheckTotals() afterwards.
  struct Both {
    FrameResult program;
    Walk model;
  };
  Both RunFast(const Bytes& frame, uint32_t ingress_ifindex = kIngress);
  void CheckTotals();

  // Table changes go to both.
  void SetRing(const VipKey& vip, const Ring& ring);   // of any size, with all VIPs' rings
  void SetSlots(const VipKey& vip, const Ring& ring);  // of the same size, slot by slot where they stand
  void SetReal(const VipKey& vip, uint16_t index, const RealEntry& real);
  void ClearReal(const VipKey& vip, uint16_t index);

  KernelDataplane& kernel() { return *kernel_; }
  DataplaneTables& tables() { return tables_; }  // the model's
  const Plan& plan() const { return plan_; }
  const Walk& model() const { return model_; }  // of the last frame
  Traffic VipTraffic(const VipKey& vip);
  Traffic RealTraffic(const VipKey& vip, uint16_t index);

 private:
  Walk RunModel(const Bytes& frame, uint32_t ingress_ifindex);
  // The verdict counted since the last call; fails unless it is one, of one frame of so many bytes.
  uint32_t CountOne(size_t frame_bytes);

  Plan plan_;
  DataplaneTables tables_;
  uint32_t max_vlan_tags_;
  std::unique_ptr<KernelDataplane> kernel_;
  int program_fd_ = -1;  // kernel_'s
  Walk model_;
  std::vector<VerdictCount> counted_;
  uint64_t frames_ = 0;
  uint64_t frame_bytes_ = 0;
};

std::string_view NameOf(uint32_t verdict);

}  // namespace shunt::test

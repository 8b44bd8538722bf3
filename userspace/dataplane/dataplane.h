// SPDX-License-Identifier: Apache-2.0
// The data plane as the control plane sees it: a few tables, written entry by entry in an order that the caller
// chooses (control/writes.h), read back whole, and counters. In model terms only.
//
// Two implementations pass the same contract tests: KernelDataplane (BPF maps) and MemoryDataplane (plain C++,
// for the planner's tests and as an independent model of the program).
//
// Threads: one thread writes; the readers and RunFrame may be called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/validate.h"

namespace shunt {

struct Traffic {
  uint64_t packets = 0;
  uint64_t bytes = 0;      // inner packets, from their IP header on
  uint64_t new_flows = 0;  // tracking all: flows entered in the table; none: TCP SYNs
  bool operator==(const Traffic&) const = default;
};

struct VerdictCount {
  uint32_t verdict = 0;  // see verdict.h
  uint64_t packets = 0;
  uint64_t bytes = 0;  // frames as received
};

struct RememberedFlow {
  uint32_t vip_id = 0;
  Endpoint source;
  uint16_t destination_port = 0;
  uint16_t real_index = 0;
  auto operator<=>(const RememberedFlow&) const = default;
};

struct RealWrite {
  uint32_t entry = 0;  // position in the real table: real_base + index
  RealEntry real;
};

struct RingWrite {
  uint32_t ring_index = 0;
  std::shared_ptr<const Ring> ring;  // never null; empty removes the ring
};

struct FrameResult {
  uint32_t verdict = 0;        // see verdict.h
  std::vector<uint8_t> frame;  // as it leaves; unchanged unless the verdict is *_ENCAPSULATED
};

class Dataplane {
 public:
  virtual ~Dataplane() = default;

  virtual Capacities capacities() const = 0;

  // What is installed. Resting is empty.
  virtual Result<Plan> Read() = 0;

  // Every setter replaces what was there, atomically for packets under way; removing what is absent is no error.
  virtual Status SetReals(std::span<const RealWrite> reals) = 0;
  virtual Status ClearReals(std::span<const uint32_t> entries) = 0;  // flows that name them become misses
  virtual Status SetRings(std::span<const RingWrite> rings) = 0;     // each ring is swapped in by itself
  virtual Status RemoveRing(uint32_t ring_index) = 0;
  virtual Status SetVip(const VipKey& key, const VipEntry& entry) = 0;
  virtual Status RemoveVip(const VipKey& key) = 0;
  virtual Status SetAddress(const IpAddress& address, const AddressEntry& entry) = 0;
  virtual Status RemoveAddress(const IpAddress& address) = 0;

  // Drops every remembered flow whose VIP id and real index `plan` does not have.
  virtual Status ForgetFlowsExcept(const Plan& plan) = 0;

  // Counters of these VIP ids and real entries start at zero.
  virtual Status ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) = 0;
  // A real that moved to another entry keeps its counts: adds what `from` counted to `to`.
  virtual Status CarryTraffic(uint32_t from, uint32_t to) = 0;

  // Sums over all CPUs, in the order asked for.
  virtual Result<std::vector<Traffic>> ReadVipTraffic(std::span<const uint32_t> vip_ids) = 0;
  virtual Result<std::vector<Traffic>> ReadRealTraffic(std::span<const uint32_t> entries) = 0;
  virtual Result<std::vector<VerdictCount>> ReadVerdicts() = 0;             // all of AllVerdicts(), in order
  virtual Result<std::vector<RememberedFlow>> ReadFlows(size_t limit) = 0;  // at most `limit`, in no order

  // Runs the program on one Ethernet frame (14 bytes or more) as if it came in by `ingress_ifindex`; counts and
  // remembers like a received one. The kernel one needs ingress_ifindex 1 or an interface with XDP.
  virtual Result<FrameResult> RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) = 0;
};

}  // namespace shunt

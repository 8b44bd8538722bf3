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
#include <optional>
#include <span>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/validate.h"

namespace shunt {

struct Traffic {
  uint64_t packets = 0;
  uint64_t bytes = 0;      // inner packets, from their IP header on
  uint64_t new_flows = 0;  // tracking all: flows entered in the table; else: packets that open a flow not remembered
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

// A remembered flow as it was read: names it for DropFlows() as long as no packet touches it.
struct FlowRef {
  uint64_t place = 0;  // 0 to flow_places() - 1
  uint64_t word = 0;   // what stood there
};

struct FlowEntry {
  FlowRef ref;
  RememberedFlow flow;
  uint32_t idle_seconds = 0;  // since its last packet; up to 32767
  bool confirmed = false;     // a packet was seen after the one that opened it
  bool closing = false;       // TCP: the client sent FIN or RST, and no data since
};

// Flows of one VIP that should have been remembered and could not be.
struct Refusals {
  uint64_t count = 0;                   // since the VIP's counters were reset
  std::optional<uint32_t> seconds_ago;  // of the last one; unset: never
  bool operator==(const Refusals&) const = default;
};

struct RealWrite {
  uint32_t entry = 0;  // position in the real table: real_base + index
  RealEntry real;
};

inline constexpr size_t kEthernetBytes = 14;  // of its header, without VLAN tags; a shorter frame is none

struct FrameResult {
  uint32_t verdict = 0;        // see verdict.h
  std::vector<uint8_t> frame;  // as it leaves; unchanged unless the verdict is *_ENCAPSULATED
};

class Dataplane {
 public:
  virtual ~Dataplane() = default;

  virtual Capacities capacities() const = 0;

  // What is installed. The planner's memory, resting and unsettled, is empty.
  virtual Result<Plan> Read() = 0;

  // Setters of entries replace what was there; removing what is absent is no error.
  // A real that does not serve is for packets as one that was cleared; Read() gives it back.
  virtual Status SetReals(std::span<const RealWrite> reals) = 0;
  virtual Status ClearReals(std::span<const uint32_t> entries) = 0;  // flows that name them become misses

  // The plan's VIPs, their addresses and rings become the ones in force, all of them at one instant: a packet meets the
  // old ones or the new ones. On an error nothing has changed. Reals are not touched.
  virtual Status SetVips(const Plan& plan) = 0;

  // Writes `slots` of an installed ring, each at an instant of its own; `ring` is what the whole becomes.
  virtual Status SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring,
                          std::span<const uint32_t> slots) = 0;

  // Returns once no packet is under way any more that may have met what was replaced before the call: some
  // milliseconds. SetVips() does the same first where it needs room that was given up lately.
  virtual Status Synchronize() = 0;

  // The flow table. Places are read in stretches, so that a reader's work is bounded.
  virtual uint64_t flow_places() const = 0;
  virtual Result<std::vector<FlowEntry>> ReadFlowEntries(uint64_t first_place, uint64_t places) = 0;
  // Drops entries that are still as they were read; returns how many.
  virtual Result<size_t> DropFlows(std::span<const FlowRef> flows) = 0;
  virtual Result<std::vector<Refusals>> ReadRefusals(std::span<const uint32_t> vip_ids) = 0;
  virtual Result<std::vector<RememberedFlow>> ReadFlows(size_t limit) = 0;  // at most `limit`, in no order
  // Drops every remembered flow whose VIP id and real index `plan` does not have, or whose real does not serve there.
  virtual Status ForgetFlowsExcept(const Plan& plan) = 0;

  // Counters, refusals and flow sketches of these VIP ids and real entries start at zero.
  virtual Status ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) = 0;
  // A real that moved to another entry keeps its counts: adds what `from` counted to `to`.
  virtual Status CarryTraffic(uint32_t from, uint32_t to) = 0;

  // Sums over all CPUs, in the order asked for.
  virtual Result<std::vector<Traffic>> ReadVipTraffic(std::span<const uint32_t> vip_ids) = 0;
  virtual Result<std::vector<Traffic>> ReadRealTraffic(std::span<const uint32_t> entries) = 0;
  virtual Result<std::vector<VerdictCount>> ReadVerdicts() = 0;  // all of AllVerdicts(), in order

  // How many different flows sent packets to each of these reals since the turn before last, estimated (standard error
  // 9 %; flow_estimate.h). TurnFlowEstimates() begins a new interval: call it at a steady pace.
  virtual Result<std::vector<double>> ReadFlowEstimates(std::span<const uint32_t> entries) = 0;
  virtual Status TurnFlowEstimates() = 0;

  // Runs the program on one Ethernet frame (14 bytes or more) as if it came in by `ingress_ifindex`; counts and
  // remembers like a received one. The kernel one needs ingress_ifindex 1 or an interface with XDP.
  virtual Result<FrameResult> RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) = 0;
  // The same, also while packets come in: the frame as the program sends it, by whichever interface; unset: it does
  // not.
  virtual Result<std::optional<std::vector<uint8_t>>> Forward(std::span<const uint8_t> frame,
                                                              uint32_t ingress_ifindex) = 0;
};

}  // namespace shunt

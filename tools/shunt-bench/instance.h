// SPDX-License-Identifier: Apache-2.0
// One balancer of a benchmark's own: the program with its tables, nothing pinned nor attached, and the control plane's
// own writer in front, on a store in a temporary folder. Not here: what is measured. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "userspace/base/result.h"
#include "userspace/control/event_log.h"
#include "userspace/control/writer.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/net/static_next_hops.h"

namespace shunt::bench {

struct InstanceOptions {
  Capacities capacities{.max_vips = 64, .max_reals = 4096, .max_flows = 262144};
  std::optional<uint32_t> flow_entries_per_second = {};  // unset: as shuntd has it
  uint32_t interface_index = 1;                          // packets come and leave by it
};

class Instance {
 public:
  static Result<std::unique_ptr<Instance>> Open(const InstanceOptions& options);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // The whole way of a change: validated, planned, stored, written.
  Status Apply(const DesiredState& desired);
  // Lets time pass, as the daemon's writer thread does: whatever is due by now.
  Status Tend();

  KernelDataplane& dataplane() { return *dataplane_; }
  const Plan& plan() const { return snapshot_->plan; }
  const DesiredState& desired() const { return snapshot_->desired; }
  int program_fd() const { return dataplane_->program_fd(); }

 private:
  Instance(std::unique_ptr<KernelDataplane> dataplane, uint32_t interface_index, std::string folder);

  std::unique_ptr<KernelDataplane> dataplane_;
  StaticNextHops next_hops_;
  std::string folder_;  // of the store
  EventLog events_;
  Writer writer_;
  std::shared_ptr<const Snapshot> snapshot_;
};

// No VIPs, a hash key that follows from `seed`, and reals that take their whole share at once.
DesiredState FreshState(uint8_t seed = 1);

// Names of what is measured. VIPs of every kind are numbered from 1, and so are reals: the number is the low 16 bits of
// their address.
VipKey NumberedVip(uint16_t number, Protocol protocol = Protocol::kTcp, Family family = Family::kIpv4);
IpAddress NumberedReal(uint16_t number, Family family = Family::kIpv4);
// Reals 1 to `count`, of weight 10.
Vip VipWithReals(uint16_t count, Tracking tracking, Family family = Family::kIpv4);

}  // namespace shunt::bench

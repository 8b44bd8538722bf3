// SPDX-License-Identifier: Apache-2.0
// What the files of KernelDataplane share: its program and maps. Included by kernel_*.cc of this folder alone.
#pragma once

#include <shunt/abi_types.h>
#include <shunt/abi_verdicts.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "userspace/bpf/map.h"
#include "userspace/bpf/object.h"
#include "userspace/bpf/pins.h"
#include "userspace/bpf/xdp.h"
#include "userspace/dataplane/kernel_dataplane.h"

namespace shunt {

struct KernelDataplane::Impl {
  KernelDataplaneOptions options;
  std::optional<LockedFolder> folder;  // unset: private, nothing pinned
  std::unique_ptr<Object> object;      // the program for RunFrame(), on the same maps as the attached ones
  int program_fd = -1;                 // belongs to `object`
  ProgramIdentity identity;

  HashMap<shunt_vip_key, shunt_vip> vips;
  RingsMap<shunt_ring_slot> rings;
  ArrayMap<shunt_real> reals;
  HashMap<shunt_flow_key, shunt_flow> flows;
  PerCpuArrayMap<shunt_traffic> vip_counters;
  PerCpuArrayMap<shunt_traffic> real_counters;
  ArrayMap<shunt_traffic> real_carried;
  PerCpuArrayMap<shunt_verdict_count> verdict_counters;

  std::mutex run_mutex;  // one RunFrame() at a time: it tells the verdict by the counter that rises

  Status OpenMaps();
  std::string PinFolder() const;
  Result<XdpAttachment> AttachTo(const std::string& interface) const;
};

// Makes the address entries those that follow from the VIPs: a process may have died between writing the two.
Status TidyAddresses(Dataplane& dataplane, const HashMap<shunt_vip_key, shunt_vip>& vips);

// The balancer's object with these sizes and settings, not loaded.
Result<Object> OpenBalancer(const Capacities& capacities, uint32_t max_vlan_tags);

}  // namespace shunt

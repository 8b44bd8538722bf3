// SPDX-License-Identifier: Apache-2.0
// What the files of KernelDataplane share: its program, maps and what stands in them. Included by kernel_*.cc of this
// folder alone.
#pragma once

#include <shunt/abi_types.h>
#include <shunt/abi_verdicts.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "userspace/bpf/map.h"
#include "userspace/bpf/object.h"
#include "userspace/bpf/pins.h"
#include "userspace/bpf/xdp.h"
#include "userspace/dataplane/flow_table_memory.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/dataplane/kernel_rings.h"
#include "userspace/dataplane/vip_table.h"

namespace shunt {

// A VIP of the half in force, as far as the next SetVips() and SetSlots() need to know it.
struct InstalledVip {
  VipEntry entry;
  RingRange range;  // no lines: it has no ring
  std::shared_ptr<const Ring> ring;
};
using InstalledVips = std::map<uint32_t, InstalledVip>;  // by id

struct KernelDataplane::Impl {
  KernelDataplaneOptions options;
  std::optional<LockedFolder> folder;  // unset: private, nothing pinned
  std::unique_ptr<Object> object;      // the program for RunFrame(), on the same maps as the attached ones
  int program_fd = -1;                 // belongs to `object`
  ProgramIdentity identity;

  MappedArray<shunt_control> control;
  MappedArray<shunt_vip> vip_table;
  MappedArray<shunt_vip_displacements> vip_displacements;
  ArrayMap<shunt_real> reals;
  MappedArray<shunt_flow_line> flow_table;
  MappedArray<shunt_flow_keys> flow_keys;
  MappedArray<shunt_refusals> vip_refusals;
  MappedArray<shunt_flow_sketch> flow_sketches;
  PerCpuArrayMap<shunt_traffic> vip_counters;
  PerCpuArrayMap<shunt_traffic> real_counters;
  ArrayMap<shunt_traffic> real_carried;
  PerCpuArrayMap<shunt_verdict_count> verdict_counters;

  std::mutex tables_mutex;  // for what follows; readers may come from any thread
  KernelRings rings;
  InstalledVips installed;
  std::shared_ptr<const FlowHashKeys> hash_keys = std::make_shared<const FlowHashKeys>();  // of VIPs that are gone, too
  VipTableSize half_size;
  std::array<std::vector<uint32_t>, 2> lines_of_half;  // that are not empty
  bool packets_in_other_half = true;  // packets may be under way that met the half which is not in force

  std::mutex probe_mutex;  // for what follows
  std::unique_ptr<Object>
      probe;  // the program for the egress of interfaces, on the same `reals`; unset: not needed yet
  ProgramIdentity probe_identity;

  std::mutex run_mutex;  // one RunFrame() at a time: it tells the verdict by the counter that rises

  Status OpenMaps();
  Status LoadProbe();  // under probe_mutex
  Status CloseProbeTunnel();
  void TakeOverTables();  // what an earlier process left in the maps; nothing in fresh ones
  std::string PinFolder() const;
  uint32_t OwnerMapId() const { return vip_table.map().id(); }  // tells our programs from others'
  Result<XdpAttachment> AttachTo(const std::string& interface) const;

  FlowTableMemory Flows() const;
  std::shared_ptr<const FlowHashKeys> HashKeys();

  // Under tables_mutex:
  uint32_t HalfInForce() const;
  uint32_t SeedInForce() const;
  std::span<shunt_vip> LinesOf(uint32_t half) const;
  Status Synchronize();
  Result<InstalledVips> PlaceRings(const Plan& plan, std::vector<RingRange>& fresh);
  void WriteHalf(uint32_t half, const VipTable& table);
  void Adopt(InstalledVips next);
  void NoteHashKeys();
};

// The balancer's object with these sizes and settings, not loaded.
Result<Object> OpenBalancer(const KernelDataplaneOptions& options);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What the files of KernelDataplane share: its program, maps and what stands in them. Included by kernel_*.cc of this
// folder alone.
#pragma once

#include <shunt/abi_types.h>
#include <shunt/abi_verdicts.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "userspace/bpf/map.h"
#include "userspace/bpf/object.h"
#include "userspace/bpf/pins.h"
#include "userspace/bpf/seen_dispatchers.h"
#include "userspace/bpf/xdp.h"
#include "userspace/dataplane/flow_table_memory.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/dataplane/kernel_pins.h"
#include "userspace/dataplane/kernel_rings.h"
#include "userspace/dataplane/upgrade.h"
#include "userspace/dataplane/vip_table.h"

namespace shunt {

// A VIP of the half in force, as far as the next SetVips() and SetSlots() need to know it.
struct InstalledVip {
  VipEntry entry;
  RingRange range;  // no lines: it has no ring
  std::shared_ptr<const Ring> ring;
};
using InstalledVips = std::map<uint32_t, InstalledVip>;  // by id

// What packets counted, by what a person calls it: ids and entries may change.
struct Counts {
  std::map<VipKey, Traffic> vips;
  std::map<VipKey, Refusals> refusals;
  std::map<std::pair<VipKey, IpAddress>, Traffic> reals;
  std::vector<VerdictCount> verdicts;
};

// An older set of maps: packets meet it on the interfaces that Attach() has not changed over yet.
struct EarlierSet {
  std::string set;  // its folder of pins
  std::unique_ptr<KernelDataplane> tables;
  std::optional<KeptProgram> program;  // as it is pinned
  std::optional<Counts> counted;       // as it was copied; unset: an earlier process did that
};

struct InterfaceAttachment {
  std::string interface;
  XdpAttachment xdp;
};

struct KernelDataplane::Impl {
  KernelDataplaneOptions options;
  std::optional<LockedFolder> folder;  // unset: private, nothing pinned
  std::string set;                     // name of its folder in `folder` (kernel_pins.h)
  std::unique_ptr<Object> object;      // as it was loaded; unset: the tables alone
  KeptProgram program;                 // what is attached where it stands alone, and run by RunFrame()
  bool only_alone = false;             // the kernel was seen to have no dispatcher
  SeenDispatchers dispatchers;         // of `options.interfaces`, when they were attached to
  bool program_is_pinned = false;
  std::optional<KeptProgram> earlier_program;  // another version on the same maps, as it is pinned
  std::optional<EarlierSet> earlier;           // other maps that Attach() will take over from
  std::vector<std::string> notes;
  std::string flows_note;  // how many were copied last

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
  ArrayMap<shunt_traffic> vip_carried;
  ArrayMap<shunt_verdict_count> verdict_carried;
  PerCpuArrayMap<shunt_verdict_count> verdict_counters;

  std::mutex attach_mutex;  // interfaces and the programs above

  std::mutex tables_mutex;  // for what follows; readers may come from any thread
  KernelRings rings;
  InstalledVips installed;
  std::shared_ptr<const FlowHashKeys> hash_keys = std::make_shared<const FlowHashKeys>();  // of VIPs that are gone, too
  VipTableSize half_size;
  std::array<std::vector<uint32_t>, 2> lines_of_half;  // that are not empty
  bool packets_in_other_half = true;  // packets may be under way that met the half which is not in force

  std::mutex probe_mutex;            // for what follows
  std::optional<KeptProgram> probe;  // for the egress of interfaces, on the same `reals`; unset: not needed yet

  std::mutex run_mutex;  // one RunFrame() at a time: it tells the verdict by the counter that rises

  using OpenMap = std::function<Result<BpfMap>(const std::string& name)>;
  Status OpenMaps(const OpenMap& open, const MapShape& ring_chunk);
  Status LoadOrAdoptProgram();
  Status LoadProbe();  // under probe_mutex
  Status CloseProbeTunnel();
  void TakeOverTables();  // what an earlier process left in the maps; nothing in fresh ones
  std::string PinFolder() const { return folder ? folder->within() + "/" + set : std::string(); }
  uint32_t OwnerMapId() const { return vip_table.map().id(); }  // tells our programs from others'

  // kernel_migration.cc: from an older set of maps to this one.
  Status OpenEarlier(const std::string& earlier_set);
  Status CopyEarlier(KernelDataplane& self);  // all that it holds, before any packet meets this set
  Status BeginTakeOver(KernelDataplane& self);
  Status EndTakeOver(KernelDataplane& self);  // no packet meets it any more
  Status CopyFlows(KernelDataplane& self);
  Status AddCounts(const Plan& plan, const Counts& more);
  void AddRefusals(uint32_t vip_id, const Refusals& more) const;
  Status MoveTo(const std::string& name);  // the pins
  Status LeaveOldProgram();

  // kernel_attach.cc
  std::vector<uint32_t> OwnerMapIds() const;
  std::vector<OpenProgram> KnownPrograms() const;
  Result<XdpAttachment> AttachTo(const std::string& interface);
  Result<std::vector<Attachment>> AttachAll();
  Result<std::optional<LockedFolder>> LockSet() const;
  void SetHandover(uint32_t word) const;
  bool IsThisVersion(const ProgramIdentity& beside) const;
  Status PrepareHandover();
  Status HandOver(std::span<const InterfaceAttachment> attached);
  Status SeeDispatchers(std::span<const InterfaceAttachment> attached);
  void UndoAttach(std::span<const InterfaceAttachment> attached, Error& error) const;
  Status KeepProgram();

  // kernel_upgrade.cc: beside a daemon that may run.
  static Result<std::unique_ptr<Impl>> OpenUnlocked(LockedFolder folder, const std::string& set);
  Result<UpgradeReport> Replace(bool dry_run);

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

inline constexpr char kBalancerProgram[] = "balancer";

// The balancer's object with these sizes and settings, not loaded. `beside`: for a dispatcher.
Result<Object> OpenBalancer(const KernelDataplaneOptions& options, bool beside = false);

// Of the program with these settings in a dispatcher (shunt_config.instance).
uint32_t InstanceOf(const KernelDataplaneOptions& options);

// From the sizes of the maps pinned in a folder.
Result<Capacities> CapacitiesOfPins(const std::string& folder);

// False: no probe of ours takes the tunnel by this interface, or there is none such.
Result<bool> CloseProbeTunnelOn(const std::string& interface);

// In the caller's network namespace.
Result<std::vector<std::string>> AllInterfaces();

}  // namespace shunt

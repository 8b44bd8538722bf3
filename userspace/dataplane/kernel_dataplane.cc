// SPDX-License-Identifier: Apache-2.0
// Opening, adopting, attaching and detaching. Tables: kernel_tables.cc; remembered flows: kernel_flows.cc; counters and
// RunFrame: kernel_counters.cc; the probes' tunnel: kernel_probes.cc.
#include "userspace/dataplane/kernel_dataplane.h"

#include <fmt/format.h>
#include <shunt/abi_config.h>
#include <shunt/abi_limits.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "userspace/bpf/programs.h"
#include "userspace/bpf/xdp.h"
#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

constexpr char kFolder[] = "shunt";
constexpr char kProgram[] = "balancer";
constexpr char kConfig[] = "config";
constexpr uint32_t kMaxVips = 1u << 22;

std::string VersionFolder() { return fmt::format("v{}", SHUNT_ABI_VERSION); }

// The way out when pins cannot be adopted, the same for every cause.
std::string StartAfresh(const std::string& folder) {
  return fmt::format(
      "to start afresh, losing remembered flows: `ip link set dev INTERFACE xdp off` for each "
      "interface it balances, then `rm -r {}`",
      folder);
}

Status CheckVersion(const LockedFolder& folder) {
  auto names = folder.List();
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    // A folder of this version that was not finished goes when the next one is made.
    if (name == VersionFolder() || name == VersionFolder() + "-new") continue;
    return Fail(ErrorKind::kSystem,
                fmt::format("taking over the pins in {}: they are of ABI version {}, this program has version {}; run "
                            "the version that made them, or {}",
                            folder.path(), name, VersionFolder(), StartAfresh(folder.path())));
  }
  return {};
}

Status Forget(const std::string& interface, uint32_t owner_map_id) {
  auto detached = DetachXdp(interface, owner_map_id);
  if (detached || detached.error().kind == ErrorKind::kNotFound) return {};  // an interface that is gone has nothing
  return std::unexpected(detached.error());
}

Status CheckOptions(const KernelDataplaneOptions& options) {
  const std::string doing = "opening the data plane";
  const Capacities& capacities = options.capacities;
  if (capacities.max_vips == 0 || capacities.max_reals == 0 || capacities.max_flows == 0)
    return Fail(ErrorKind::kInvalid, doing + ": a capacity of 0 makes no sense");
  if (capacities.max_vips > kMaxVips)
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: {} VIPs are too many; {} is the most", doing, capacities.max_vips, kMaxVips));
  if (options.max_vlan_tags > 2)
    return Fail(ErrorKind::kInvalid, fmt::format("{}: {} VLAN tags; 2 is the most", doing, options.max_vlan_tags));
  return {};
}

shunt_config ConfigOf(const KernelDataplaneOptions& options) {
  const VipTableSize half = VipTableSizeFor(options.capacities.max_vips);
  const uint64_t lines = FlowLinesFor(options.capacities.max_flows);
  const auto cpus = static_cast<uint64_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const uint64_t per_second = lines * SHUNT_FLOWS_PER_LINE / 2 / SHUNT_BRIEF_FLOW_SECONDS / cpus;
  return {.max_vlan_tags = options.max_vlan_tags,
          .vip_lines = half.lines,
          .vip_groups = half.groups,
          .flow_lines = static_cast<uint32_t>(lines),
          .flow_entries_per_second =
              options.flow_entries_per_second.value_or(static_cast<uint32_t>(std::max<uint64_t>(1, per_second)))};
}

template <class Value>
Status OpenMapped(const Object& object, const std::string& name, MappedArray<Value>& array) {
  auto map = object.Map(name);
  if (!map) return std::unexpected(map.error());
  auto mapped = MappedArray<Value>::Of(std::move(*map));
  if (!mapped) return std::unexpected(mapped.error());
  array = std::move(*mapped);
  return {};
}

template <class Value>
Status OpenArray(const Object& object, const std::string& name, ArrayMap<Value>& array) {
  auto map = object.Map(name);
  if (!map) return std::unexpected(map.error());
  array = ArrayMap<Value>(std::move(*map));
  return {};
}

template <class Value>
Status OpenPerCpu(const Object& object, const std::string& name, uint32_t cpus, PerCpuArrayMap<Value>& array) {
  auto map = object.Map(name);
  if (!map) return std::unexpected(map.error());
  array = {std::move(*map), cpus};
  return {};
}

Status OpenRings(const Object& object, KernelRings& rings) {
  auto chunks = object.Map("ring_chunks");
  if (!chunks) return std::unexpected(chunks.error());
  auto chunk = object.InnerShape("ring_chunks");
  if (!chunk) return std::unexpected(chunk.error());
  auto opened = KernelRings::Open(std::move(*chunks), *chunk);
  if (!opened) return std::unexpected(opened.error());
  rings = std::move(*opened);
  return {};
}

}  // namespace

Result<Object> OpenBalancer(const KernelDataplaneOptions& options) {
  if (auto valid = CheckOptions(options); !valid) return std::unexpected(valid.error());
  auto object = Object::Open(kProgram, BalancerElf());
  if (!object) return object;
  const Capacities& capacities = options.capacities;
  const shunt_config config = ConfigOf(options);
  const std::pair<const char*, uint32_t> sizes[] = {
      {"vip_table", 2 * config.vip_lines},
      {"vip_displacements", 2 * config.vip_groups / SHUNT_VIP_DISPLACEMENTS_PER_LINE},
      {"reals", capacities.max_reals},
      {"flow_table", config.flow_lines},
      {"flow_keys", config.flow_lines},
      {"vip_refusals", capacities.max_vips + 1},
      {"flow_sketches", capacities.max_reals},
      {"vip_counters", capacities.max_vips + 1},
      {"real_counters", capacities.max_reals},
      {"real_carried", capacities.max_reals}};
  for (const auto& [map, entries] : sizes)
    if (auto sized = object->Resize(map, entries); !sized) return std::unexpected(sized.error());
  if (auto set = object->SetConstant(kConfig, config); !set) return std::unexpected(set.error());
  return object;
}

std::string KernelDataplane::Impl::PinFolder() const { return folder->path() + "/" + VersionFolder(); }

Status KernelDataplane::Impl::OpenMaps() {
  auto cpus = PossibleCpus();
  if (!cpus) return std::unexpected(cpus.error());
  for (const Status& opened :
       {OpenMapped(*object, "control", control), OpenMapped(*object, "vip_table", vip_table),
        OpenMapped(*object, "vip_displacements", vip_displacements), OpenArray(*object, "reals", reals),
        OpenMapped(*object, "flow_table", flow_table), OpenMapped(*object, "flow_keys", flow_keys),
        OpenMapped(*object, "vip_refusals", vip_refusals), OpenMapped(*object, "flow_sketches", flow_sketches),
        OpenPerCpu(*object, "vip_counters", *cpus, vip_counters),
        OpenPerCpu(*object, "real_counters", *cpus, real_counters), OpenArray(*object, "real_carried", real_carried),
        OpenPerCpu(*object, "verdict_counters", *cpus, verdict_counters), OpenRings(*object, rings)}) {
    if (!opened) return opened;
  }
  auto fd = object->ProgramFd(kProgram);
  if (!fd) return std::unexpected(fd.error());
  program_fd = *fd;
  auto identified = IdentifyProgram(program_fd);
  if (!identified) return std::unexpected(identified.error());
  identity = std::move(*identified);
  TakeOverTables();
  return {};
}

KernelDataplane::KernelDataplane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelDataplane::~KernelDataplane() = default;

Result<std::unique_ptr<KernelDataplane>> KernelDataplane::Open(const KernelDataplaneOptions& options) {
  auto folder = LockedFolder::Lock(options.bpffs, kFolder, LockKind::kRefuse);
  if (!folder) return std::unexpected(folder.error());
  if (auto same = CheckVersion(*folder); !same) return std::unexpected(same.error());
  auto object = OpenBalancer(options);
  if (!object) return std::unexpected(object.error());
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->folder = std::move(*folder);
  const std::string remedy =
      fmt::format("start with the capacities the pins were made with, or, {}", StartAfresh(impl->folder->path()));
  if (auto loaded = LoadPinned(*object, impl->PinFolder(), remedy); !loaded) return std::unexpected(loaded.error());
  impl->object = std::make_unique<Object>(std::move(*object));
  if (auto opened = impl->OpenMaps(); !opened) return std::unexpected(opened.error());
  return std::unique_ptr<KernelDataplane>(new KernelDataplane(std::move(impl)));
}

Result<std::unique_ptr<KernelDataplane>> KernelDataplane::OpenPrivate(const Capacities& capacities,
                                                                      uint32_t max_vlan_tags,
                                                                      std::optional<uint32_t> flow_entries_per_second) {
  auto impl = std::make_unique<Impl>();
  impl->options.capacities = capacities;
  impl->options.max_vlan_tags = max_vlan_tags;
  impl->options.flow_entries_per_second = flow_entries_per_second;
  auto object = OpenBalancer(impl->options);
  if (!object) return std::unexpected(object.error());
  if (auto loaded = object->Load(); !loaded) return std::unexpected(loaded.error());
  impl->object = std::make_unique<Object>(std::move(*object));
  if (auto opened = impl->OpenMaps(); !opened) return std::unexpected(opened.error());
  return std::unique_ptr<KernelDataplane>(new KernelDataplane(std::move(impl)));
}

Result<XdpAttachment> KernelDataplane::Impl::AttachTo(const std::string& interface) const {
  // A second instance, because libxdp loads it itself: in its dispatcher it is another kind of program.
  auto instance = OpenBalancer(options);
  if (!instance) return std::unexpected(instance.error());
  for (const std::string& name : object->MapNames()) {
    auto map = object->Map(name);
    if (!map) return std::unexpected(map.error());
    if (auto used = instance->UseMap(name, *map); !used) return std::unexpected(used.error());
  }
  return AttachXdp({interface, options.xdp_mode, OwnerMapId(), kProgram, identity}, std::move(*instance));
}

Result<std::vector<KernelDataplane::Attachment>> KernelDataplane::Attach() {
  const uint32_t owner = impl_->OwnerMapId();
  std::vector<Attachment> attachments;
  Result<XdpAttachment> attached;
  for (const std::string& interface : impl_->options.interfaces) {
    attached = impl_->AttachTo(interface);
    if (!attached) break;
    attachments.push_back({interface, attached->native, attached->was_there});
  }
  if (attached) return attachments;
  Error error = attached.error();
  for (const Attachment& attachment : attachments) {
    if (attachment.was_there) continue;
    if (auto undone = Forget(attachment.interface, owner); !undone) error.message += "\nand " + undone.error().message;
  }
  return std::unexpected(error);
}

Status KernelDataplane::Detach() {
  for (const std::string& interface : impl_->options.interfaces)
    if (auto detached = Forget(interface, impl_->OwnerMapId()); !detached) return detached;
  if (auto closed = impl_->CloseProbeTunnel(); !closed) return closed;
  if (!impl_->folder) return {};
  if (auto removed = RemoveFolder(impl_->PinFolder()); !removed) return removed;
  return impl_->folder->RemoveIfEmpty();
}

int KernelDataplane::program_fd() const { return impl_->program_fd; }

Capacities KernelDataplane::capacities() const { return impl_->options.capacities; }

}  // namespace shunt

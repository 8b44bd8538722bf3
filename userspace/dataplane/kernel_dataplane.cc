// SPDX-License-Identifier: Apache-2.0
// Opening, adopting, attaching and detaching. Tables: kernel_tables.cc; counters and RunFrame: kernel_counters.cc.
#include "userspace/dataplane/kernel_dataplane.h"

#include <fmt/format.h>
#include <shunt/abi_config.h>

#include <array>
#include <utility>

#include "userspace/bpf/programs.h"
#include "userspace/bpf/xdp.h"
#include "userspace/dataplane/encode.h"
#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

constexpr char kFolder[] = "shunt";
constexpr char kProgram[] = "balancer";
constexpr char kConfig[] = "config";
constexpr std::array kMaps = {"vips",         "rings",         "reals",        "flows",
                              "vip_counters", "real_counters", "real_carried", "verdict_counters"};

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

}  // namespace

Result<Object> OpenBalancer(const Capacities& capacities, uint32_t max_vlan_tags) {
  const std::string doing = "opening the data plane";
  if (capacities.max_vips == 0 || capacities.max_reals == 0 || capacities.max_flows == 0)
    return Fail(ErrorKind::kInvalid, doing + ": a capacity of 0 makes no sense");
  if (capacities.max_vips > (UINT32_MAX - 2) / 2)
    return Fail(ErrorKind::kInvalid, fmt::format("{}: {} VIPs are too many", doing, capacities.max_vips));
  if (max_vlan_tags > 2)
    return Fail(ErrorKind::kInvalid, fmt::format("{}: {} VLAN tags; 2 is the most", doing, max_vlan_tags));
  auto object = Object::Open(kProgram, BalancerElf());
  if (!object) return object;
  const std::pair<const char*, uint32_t> sizes[] = {
      {"vips", 2 * capacities.max_vips},  // and as many addresses
      {"rings", 2 * (capacities.max_vips + 1)}, {"vip_counters", capacities.max_vips + 1},
      {"reals", capacities.max_reals},          {"real_counters", capacities.max_reals},
      {"real_carried", capacities.max_reals},   {"flows", capacities.max_flows}};
  for (const auto& [map, entries] : sizes)
    if (auto sized = object->Resize(map, entries); !sized) return std::unexpected(sized.error());
  auto set = object->SetConstant(kConfig, shunt_config{.max_vlan_tags = max_vlan_tags});
  if (!set) return std::unexpected(set.error());
  return object;
}

std::string KernelDataplane::Impl::PinFolder() const { return folder->path() + "/" + VersionFolder(); }

Status KernelDataplane::Impl::OpenMaps() {
  auto cpus = PossibleCpus();
  if (!cpus) return std::unexpected(cpus.error());
  std::array<BpfMap, kMaps.size()> maps;
  for (size_t i = 0; i < maps.size(); ++i) {
    auto map = object->Map(kMaps[i]);
    if (!map) return std::unexpected(map.error());
    maps[i] = std::move(*map);
  }
  auto inner = object->InnerShape("rings");
  if (!inner) return std::unexpected(inner.error());
  vips = HashMap<shunt_vip_key, shunt_vip>(std::move(maps[0]));
  rings = RingsMap<shunt_ring_slot>(std::move(maps[1]), *inner);
  reals = ArrayMap<shunt_real>(std::move(maps[2]));
  flows = HashMap<shunt_flow_key, shunt_flow>(std::move(maps[3]));
  vip_counters = {std::move(maps[4]), *cpus};
  real_counters = {std::move(maps[5]), *cpus};
  real_carried = ArrayMap<shunt_traffic>(std::move(maps[6]));
  verdict_counters = {std::move(maps[7]), *cpus};
  auto fd = object->ProgramFd(kProgram);
  if (!fd) return std::unexpected(fd.error());
  program_fd = *fd;
  auto identified = IdentifyProgram(program_fd);
  if (!identified) return std::unexpected(identified.error());
  identity = std::move(*identified);
  return {};
}

KernelDataplane::KernelDataplane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelDataplane::~KernelDataplane() = default;

Result<std::unique_ptr<KernelDataplane>> KernelDataplane::Open(const KernelDataplaneOptions& options) {
  auto folder = LockedFolder::Lock(options.bpffs, kFolder, LockKind::kRefuse);
  if (!folder) return std::unexpected(folder.error());
  if (auto same = CheckVersion(*folder); !same) return std::unexpected(same.error());
  auto object = OpenBalancer(options.capacities, options.max_vlan_tags);
  if (!object) return std::unexpected(object.error());
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->folder = std::move(*folder);
  const std::string remedy =
      fmt::format("start with the capacities the pins were made with, or, {}", StartAfresh(impl->folder->path()));
  auto adopted = LoadPinned(*object, impl->PinFolder(), remedy);
  if (!adopted) return std::unexpected(adopted.error());
  impl->object = std::make_unique<Object>(std::move(*object));
  if (auto opened = impl->OpenMaps(); !opened) return std::unexpected(opened.error());
  std::unique_ptr<KernelDataplane> dataplane(new KernelDataplane(std::move(impl)));
  if (*adopted)
    if (auto tidied = TidyAddresses(*dataplane, dataplane->impl_->vips); !tidied)
      return std::unexpected(tidied.error());
  return dataplane;
}

Result<std::unique_ptr<KernelDataplane>> KernelDataplane::OpenPrivate(const Capacities& capacities,
                                                                      uint32_t max_vlan_tags) {
  auto object = OpenBalancer(capacities, max_vlan_tags);
  if (!object) return std::unexpected(object.error());
  if (auto loaded = object->Load(); !loaded) return std::unexpected(loaded.error());
  auto impl = std::make_unique<Impl>();
  impl->options.capacities = capacities;
  impl->options.max_vlan_tags = max_vlan_tags;
  impl->object = std::make_unique<Object>(std::move(*object));
  if (auto opened = impl->OpenMaps(); !opened) return std::unexpected(opened.error());
  return std::unique_ptr<KernelDataplane>(new KernelDataplane(std::move(impl)));
}

Result<XdpAttachment> KernelDataplane::Impl::AttachTo(const std::string& interface) const {
  // A second instance, because libxdp loads it itself: in its dispatcher it is another kind of program.
  auto instance = OpenBalancer(options.capacities, options.max_vlan_tags);
  if (!instance) return std::unexpected(instance.error());
  for (const char* name : kMaps) {
    auto map = object->Map(name);
    if (!map) return std::unexpected(map.error());
    if (auto used = instance->UseMap(name, *map); !used) return std::unexpected(used.error());
  }
  return AttachXdp({interface, options.xdp_mode, vips.map().id(), kProgram, identity}, std::move(*instance));
}

Result<std::vector<KernelDataplane::Attachment>> KernelDataplane::Attach() {
  const uint32_t owner = impl_->vips.map().id();
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
    if (auto detached = Forget(interface, impl_->vips.map().id()); !detached) return detached;
  if (!impl_->folder) return {};
  if (auto removed = RemoveFolder(impl_->PinFolder()); !removed) return removed;
  return impl_->folder->RemoveIfEmpty();
}

Capacities KernelDataplane::capacities() const { return impl_->options.capacities; }

}  // namespace shunt

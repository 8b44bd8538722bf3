// SPDX-License-Identifier: Apache-2.0
// Opening and adopting. Which pins: kernel_pins.cc; other maps than these: kernel_migration.cc; interfaces:
// kernel_attach.cc; tables: kernel_tables.cc; remembered flows: kernel_flows.cc; counters and RunFrame:
// kernel_counters.cc; the probes' tunnel: kernel_probes.cc.
#include "userspace/dataplane/kernel_dataplane.h"

#include <fmt/format.h>
#include <shunt/abi_config.h>
#include <shunt/abi_limits.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "userspace/base/digest.h"
#include "userspace/bpf/programs.h"
#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

constexpr char kConfig[] = "config";
constexpr uint32_t kMaxVips = 1u << 22;

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

// Tells versions and settings of the program apart; 31 bits, not 0.
uint32_t DigestOf(const shunt_config& config) {
  const uint64_t digest = Digest(std::as_bytes(std::span(&config, 1)), Digest(BalancerElf()));
  return std::max(1u, static_cast<uint32_t>(digest ^ digest >> 32) & ~SHUNT_HANDOVER_ONLY);
}

shunt_config ConfigOf(const KernelDataplaneOptions& options, bool beside) {
  const VipTableSize half = VipTableSizeFor(options.capacities.max_vips);
  const uint64_t lines = FlowLinesFor(options.capacities.max_flows);
  const auto cpus = static_cast<uint64_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const uint64_t per_second = lines * SHUNT_FLOWS_PER_LINE / 2 / SHUNT_BRIEF_FLOW_SECONDS / cpus;
  shunt_config config{.max_vlan_tags = options.max_vlan_tags,
                      .vip_lines = half.lines,
                      .vip_groups = half.groups,
                      .flow_lines = static_cast<uint32_t>(lines),
                      .flow_entries_per_second = options.flow_entries_per_second.value_or(
                          static_cast<uint32_t>(std::max<uint64_t>(1, per_second))),
                      .instance = 0};
  if (beside) config.instance = DigestOf(config);
  return config;
}

using OpenMap = std::function<Result<BpfMap>(const std::string& name)>;

template <class Value>
Status OpenMapped(const OpenMap& open, const std::string& name, MappedArray<Value>& array) {
  auto map = open(name);
  if (!map) return std::unexpected(map.error());
  auto mapped = MappedArray<Value>::Of(std::move(*map));
  if (!mapped) return std::unexpected(mapped.error());
  array = std::move(*mapped);
  return {};
}

template <class Value>
Status OpenArray(const OpenMap& open, const std::string& name, ArrayMap<Value>& array) {
  auto map = open(name);
  if (!map) return std::unexpected(map.error());
  array = ArrayMap<Value>(std::move(*map));
  return {};
}

template <class Value>
Status OpenPerCpu(const OpenMap& open, const std::string& name, uint32_t cpus, PerCpuArrayMap<Value>& array) {
  auto map = open(name);
  if (!map) return std::unexpected(map.error());
  array = {std::move(*map), cpus};
  return {};
}

Status OpenRings(const OpenMap& open, const MapShape& chunk, const std::string& pin_folder, KernelRings& rings) {
  auto chunks = open("ring_chunks");
  if (!chunks) return std::unexpected(chunks.error());
  auto opened = KernelRings::Open(std::move(*chunks), chunk, pin_folder);
  if (!opened) return std::unexpected(opened.error());
  rings = std::move(*opened);
  return {};
}

}  // namespace

uint32_t InstanceOf(const KernelDataplaneOptions& options) { return ConfigOf(options, true).instance; }

Result<Object> OpenBalancer(const KernelDataplaneOptions& options, bool beside) {
  if (auto valid = CheckOptions(options); !valid) return std::unexpected(valid.error());
  auto object = Object::Open(kBalancerProgram, BalancerElf());
  if (!object) return object;
  const Capacities& capacities = options.capacities;
  const shunt_config config = ConfigOf(options, beside);
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
      {"real_carried", capacities.max_reals},
      {"vip_carried", capacities.max_vips + 1}};
  for (const auto& [map, entries] : sizes)
    if (auto sized = object->Resize(map, entries); !sized) return std::unexpected(sized.error());
  if (auto set = object->SetConstant(kConfig, config); !set) return std::unexpected(set.error());
  return object;
}

Status KernelDataplane::Impl::OpenMaps(const OpenMap& open, const MapShape& ring_chunk) {
  auto cpus = PossibleCpus();
  if (!cpus) return std::unexpected(cpus.error());
  for (const Status& opened :
       {OpenMapped(open, "control", control), OpenMapped(open, "vip_table", vip_table),
        OpenMapped(open, "vip_displacements", vip_displacements), OpenArray(open, "reals", reals),
        OpenMapped(open, "flow_table", flow_table), OpenMapped(open, "flow_keys", flow_keys),
        OpenMapped(open, "vip_refusals", vip_refusals), OpenMapped(open, "flow_sketches", flow_sketches),
        OpenPerCpu(open, "vip_counters", *cpus, vip_counters), OpenPerCpu(open, "real_counters", *cpus, real_counters),
        OpenPerCpu(open, "verdict_counters", *cpus, verdict_counters), OpenArray(open, "real_carried", real_carried),
        OpenArray(open, "vip_carried", vip_carried), OpenArray(open, "verdict_carried", verdict_carried),
        OpenRings(open, ring_chunk, PinFolder(), rings)}) {
    if (!opened) return opened;
  }
  TakeOverTables();
  return {};
}

// The loaded program, or the pinned one if that is the same: then nothing is replaced.
Status KernelDataplane::Impl::LoadOrAdoptProgram() {
  auto chunk = object->InnerShape("ring_chunks");
  if (!chunk) return std::unexpected(chunk.error());
  if (auto opened = OpenMaps([this](const std::string& name) { return object->Map(name); }, *chunk); !opened)
    return opened;
  auto identity = object->Identify(kBalancerProgram);
  if (!identity) return std::unexpected(identity.error());
  if (folder) {
    auto pinned = OpenKeptProgram(PinFolder());
    if (!pinned && pinned.error().kind != ErrorKind::kNotFound) return std::unexpected(pinned.error());
    if (pinned && pinned->identity.SameVersion(*identity)) {
      program = std::move(*pinned);
      program_is_pinned = true;
      return {};
    }
    if (pinned) earlier_program = std::move(*pinned);
  }
  auto fd = object->KeepProgram(kBalancerProgram);
  if (!fd) return std::unexpected(fd.error());
  program = {std::move(*fd), std::move(*identity)};
  return {};
}

KernelDataplane::KernelDataplane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelDataplane::~KernelDataplane() = default;

Result<std::unique_ptr<KernelDataplane>> KernelDataplane::Open(const KernelDataplaneOptions& options) {
  auto folder = LockedFolder::Lock(options.bpffs, kPinFolder, LockKind::kRefuse);
  if (!folder) return std::unexpected(folder.error());
  auto object = OpenBalancer(options);
  if (!object) return std::unexpected(object.error());
  auto pins = ChoosePins(*folder, *object);
  if (!pins) return std::unexpected(pins.error());
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->folder = std::move(*folder);
  impl->set = pins->set;
  if (auto loaded = LoadPinned(*object, impl->PinFolder(), StartAfresh()); !loaded)
    return std::unexpected(loaded.error());
  impl->object = std::make_unique<Object>(std::move(*object));
  if (auto opened = impl->LoadOrAdoptProgram(); !opened) return std::unexpected(opened.error());
  if (pins->earlier)
    if (auto opened = impl->OpenEarlier(*pins->earlier); !opened) return std::unexpected(opened.error());
  std::unique_ptr<KernelDataplane> dataplane(new KernelDataplane(std::move(impl)));
  if (!pins->earlier || pins->resumes) return dataplane;
  if (auto copied = dataplane->impl_->CopyEarlier(*dataplane); !copied)
    return Context(fmt::format("copying {} to new maps", *pins->earlier), copied.error());
  return dataplane;
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
  if (auto opened = impl->LoadOrAdoptProgram(); !opened) return std::unexpected(opened.error());
  return std::unique_ptr<KernelDataplane>(new KernelDataplane(std::move(impl)));
}

int KernelDataplane::program_fd() const { return impl_->program.fd.get(); }

const std::vector<std::string>& KernelDataplane::notes() const { return impl_->notes; }

Capacities KernelDataplane::capacities() const { return impl_->options.capacities; }

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <shunt/abi_config.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "userspace/dataplane/kernel_dataplane_impl.h"
#include "userspace/dataplane/upgrade.h"

namespace shunt {
namespace {

// As the daemon that made the pins had them.
Result<KernelDataplaneOptions> OptionsOf(const std::string& folder, const std::optional<KeptProgram>& attached) {
  KernelDataplaneOptions options;
  auto capacities = CapacitiesOfPins(folder);
  if (!capacities) return std::unexpected(capacities.error());
  options.capacities = *capacities;
  if (!attached) return options;
  auto object = OpenBalancer(options);
  if (!object) return std::unexpected(object.error());
  auto config = object->ConstantIn<shunt_config>("config", attached->identity.constants);
  if (!config) return std::unexpected(config.error());
  options.max_vlan_tags = config->max_vlan_tags;
  options.flow_entries_per_second = config->flow_entries_per_second;
  return options;
}

std::string SentenceOf(const XdpPresence& presence, bool done) {
  if (presence.dispatcher)
    return done ? "the new program took over in the dispatcher" : "the new program takes over in the dispatcher";
  return done ? "the program was replaced in one step" : "the program is replaced in one step";
}

}  // namespace

Result<UpgradeReport> KernelDataplane::Impl::Replace(bool dry_run) {
  UpgradeReport report;
  report.maps = fmt::format("the maps of {} stay", set);
  report.is_upgrade = earlier_program.has_value();
  report.program = report.is_upgrade ? fmt::format("program {} is replaced by {}", earlier_program->identity.tag,
                                                   program.identity.tag)
                                     : fmt::format("program {} with its settings is the same", program.identity.tag);
  auto interfaces = AllInterfaces();
  if (!interfaces) return std::unexpected(interfaces.error());
  for (const std::string& interface : *interfaces) {
    auto presence = InspectXdp(interface, KnownPrograms());
    if (!presence && presence.error().kind == ErrorKind::kNotFound) continue;
    if (!presence) return std::unexpected(presence.error());
    if (!presence->FindUserOf(OwnerMapId())) continue;
    options.interfaces.push_back(interface);
    report.interfaces.push_back({interface, report.is_upgrade ? SentenceOf(*presence, !dry_run) : "the program stays"});
  }
  if (dry_run || !report.is_upgrade) return report;
  if (auto attached = AttachAll(); !attached) return std::unexpected(attached.error());
  if (auto kept = KeepProgram(); !kept) return std::unexpected(kept.error());
  return report;
}

Result<UpgradeReport> Upgrade(const std::string& bpffs, bool dry_run) {
  const std::string none = fmt::format("no balancer is pinned in {}/{}", bpffs, kPinFolder);
  if (!FolderExists(bpffs + "/" + kPinFolder)) return Fail(ErrorKind::kNotFound, none);
  auto folder = LockedFolder::Lock(bpffs, kPinFolder, LockKind::kNone);
  if (!folder) return std::unexpected(folder.error());
  auto own = OwnSet();
  if (!own) return std::unexpected(own.error());
  auto sets = folder->List();
  if (!sets) return std::unexpected(sets.error());
  if (sets->empty()) return Fail(ErrorKind::kNotFound, none);
  if (std::ranges::find(*sets, *own) == sets->end()) {
    UpgradeReport report{.maps_stay = false};
    report.hitless = IsKnownSet(sets->front());
    report.maps = report.hitless ? fmt::format(
                                       "the maps of {} are copied to new ones, {}, when shuntd of this version "
                                       "starts; flows, counters and rings stay",
                                       sets->front(), *own)
                                 : fmt::format("the maps of {} are not known to this version, whose are {}; {}",
                                               sets->front(), *own, StartAfresh());
    report.program = "the program is replaced with them";
    return report;
  }
  // No other process attaches meanwhile.
  auto lock = LockedFolder::Lock(folder->within(), *own, LockKind::kWait);
  if (!lock) return std::unexpected(lock.error());
  auto opened = KernelDataplane::Impl::OpenUnlocked(std::move(*folder), *own);
  if (!opened) return std::unexpected(opened.error());
  return (*opened)->Replace(dry_run);
}

Result<std::unique_ptr<KernelDataplane::Impl>> KernelDataplane::Impl::OpenUnlocked(LockedFolder folder,
                                                                                   const std::string& set) {
  auto impl = std::make_unique<Impl>();
  impl->folder = std::move(folder);
  impl->set = set;
  std::optional<KeptProgram> attached;
  if (auto kept = OpenKeptProgram(impl->PinFolder())) attached = std::move(*kept);
  auto options = OptionsOf(impl->PinFolder(), attached);
  if (!options) return std::unexpected(options.error());
  impl->options = std::move(*options);
  auto object = OpenBalancer(impl->options);
  if (!object) return std::unexpected(object.error());
  if (auto loaded = LoadPinned(*object, impl->PinFolder(), StartAfresh()); !loaded)
    return std::unexpected(loaded.error());
  impl->object = std::make_unique<Object>(std::move(*object));
  if (auto adopted = impl->LoadOrAdoptProgram(); !adopted) return std::unexpected(adopted.error());
  return impl;
}

Result<std::vector<std::string>> DetachEverything(const std::string& bpffs) {
  std::vector<std::string> removed;
  if (!FolderExists(bpffs + "/" + kPinFolder)) return removed;
  auto folder = LockedFolder::Lock(bpffs, kPinFolder, LockKind::kRefuse);
  if (!folder) return Context("detaching (stop shuntd first: `systemctl stop shuntd`)", folder.error());
  auto sets = folder->List();
  if (!sets) return std::unexpected(sets.error());
  std::vector<uint32_t> owners;  // whoever uses any of the pinned maps is ours, of whatever version
  for (const std::string& set : *sets) {
    auto ids = PinnedMapIds(folder->within() + "/" + set);
    if (!ids) return std::unexpected(ids.error());
    owners.insert(owners.end(), ids->begin(), ids->end());
  }
  auto interfaces = AllInterfaces();
  if (!interfaces) return std::unexpected(interfaces.error());
  for (const std::string& interface : *interfaces) {
    auto detached = DetachXdp(interface, owners);
    if (!detached && detached.error().kind == ErrorKind::kNotFound) continue;
    if (!detached) return std::unexpected(detached.error());
    if (*detached) removed.push_back(fmt::format("{}: the balancer's program", interface));
    auto closed = CloseProbeTunnelOn(interface);
    if (!closed) return std::unexpected(closed.error());
    if (*closed) removed.push_back(fmt::format("{}: the program that puts health probes into the tunnel", interface));
  }
  for (const std::string& set : *sets) {
    if (auto gone = RemoveFolder(folder->within() + "/" + set); !gone) return std::unexpected(gone.error());
    removed.push_back(fmt::format("{}/{}: pins of maps and programs", folder->path(), set));
  }
  if (auto gone = folder->RemoveIfEmpty(); !gone) return std::unexpected(gone.error());
  return removed;
}

}  // namespace shunt

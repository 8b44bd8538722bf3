// SPDX-License-Identifier: Apache-2.0
// KernelDataplane on interfaces: attaching, taking over from other versions, detaching.
//
// In a dispatcher two versions can stand behind one another. The new one is added idle to all interfaces, one word of
// `control` hands over to it, and then the old one is taken away: packets meet one of the two, on all interfaces the
// same. Where the program stands alone the kernel replaces it in one step.
#include <fmt/format.h>
#include <net/if.h>
#include <shunt/abi_config.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

struct FreeNames {
  void operator()(struct if_nameindex* names) const { if_freenameindex(names); }
};

// False: there is nothing of ours on it, or no such interface.
Result<bool> DetachFrom(const std::string& interface, std::span<const uint32_t> owners,
                        std::span<const OpenProgram> known) {
  auto detached = DetachXdp(interface, owners, known);
  if (!detached && detached.error().kind == ErrorKind::kNotFound) return false;
  return detached;
}

}  // namespace

Result<std::vector<std::string>> AllInterfaces() {
  const std::unique_ptr<struct if_nameindex[], FreeNames> interfaces(if_nameindex());
  if (!interfaces) return FailErrno("listing the interfaces", errno);
  std::vector<std::string> names;
  for (size_t i = 0; interfaces[i].if_index != 0; ++i) names.emplace_back(interfaces[i].if_name);
  return names;
}

std::vector<uint32_t> KernelDataplane::Impl::OwnerMapIds() const {
  std::vector<uint32_t> ids{OwnerMapId()};
  if (earlier) ids.push_back(earlier->tables->impl_->OwnerMapId());
  return ids;
}

std::vector<OpenProgram> KernelDataplane::Impl::KnownPrograms() const {
  std::vector<OpenProgram> known{program.open()};
  if (earlier_program) known.push_back(earlier_program->open());
  if (earlier && earlier->program) known.push_back(earlier->program->open());
  return known;
}

Result<XdpAttachment> KernelDataplane::Impl::AttachTo(const std::string& interface) {
  // An instance for the dispatcher, because libxdp loads it itself: there it is another kind of program.
  auto instance = OpenBalancer(options, true);
  if (!instance) return std::unexpected(instance.error());
  for (const std::string& name : object->MapNames()) {
    auto map = object->Map(name);
    if (!map) return std::unexpected(map.error());
    if (auto used = instance->UseMap(name, *map); !used) return std::unexpected(used.error());
  }
  ProgramIdentity beside = program.identity;
  beside.constants = instance->Constants();
  return AttachXdp({.interface = interface,
                    .mode = options.xdp_mode,
                    .owner_map_ids = OwnerMapIds(),
                    .program = kBalancerProgram,
                    .alone = program.open(),
                    .beside = std::move(beside),
                    .earlier = KnownPrograms(),
                    .only_alone = only_alone,
                    .seen = &dispatchers},
                   std::move(*instance));
}

// What decides which versions in a dispatcher pass packets on (shunt/abi_types.h).
void KernelDataplane::Impl::SetHandover(uint32_t word) const {
  std::atomic_ref(control.values()[0].handover).store(word, std::memory_order_release);
}

// One in a dispatcher. The kernel's tag would not do: settings are no part of it.
bool KernelDataplane::Impl::IsThisVersion(const ProgramIdentity& beside) const {
  if (!beside.UsesMap(OwnerMapId())) return false;
  const auto config = object->ConstantIn<shunt_config>("config", beside.constants);
  return config && config->instance == InstanceOf(options);
}

// Idle at first, unless it works somewhere already.
Status KernelDataplane::Impl::PrepareHandover() {
  for (const std::string& interface : options.interfaces) {
    auto presence = InspectXdp(interface, KnownPrograms());
    if (!presence && presence.error().kind == ErrorKind::kNotFound) continue;
    if (!presence) return std::unexpected(presence.error());
    if (!presence->dispatcher) continue;
    if (std::ranges::any_of(presence->programs, [&](const auto& there) { return IsThisVersion(there); })) return {};
  }
  SetHandover(InstanceOf(options));
  return {};
}

// The new version works from here on; the old ones, idle, go.
Status KernelDataplane::Impl::HandOver(std::span<const InterfaceAttachment> attached) {
  const bool superseded = std::ranges::any_of(attached, [](const auto& one) { return !one.xdp.superseded.empty(); });
  const uint32_t only_this = SHUNT_HANDOVER_ONLY | InstanceOf(options);
  SetHandover(superseded && !earlier ? only_this : 0);
  if (superseded && earlier) earlier->tables->impl_->SetHandover(only_this);
  Status done;
  for (const auto& [interface, xdp] : attached) {
    for (const uint32_t id : xdp.superseded)
      if (auto detached = DetachXdpProgram(interface, id); !detached && done) done = detached;
  }
  SetHandover(0);
  return done;
}

// As they are from now on; who attaches again later may have no right to look.
Status KernelDataplane::Impl::SeeDispatchers(std::span<const InterfaceAttachment> attached) {
  for (const auto& [interface, xdp] : attached) {
    if (xdp.alone) continue;
    if (auto seen = InspectXdp(interface, KnownPrograms(), &dispatchers); !seen) return std::unexpected(seen.error());
  }
  return {};
}

// Those that had none of ours before lose it again; the others keep what works.
void KernelDataplane::Impl::UndoAttach(std::span<const InterfaceAttachment> attached, Error& error) const {
  for (const auto& [interface, xdp] : attached) {
    if (xdp.was_there) continue;
    if (auto undone = DetachFrom(interface, OwnerMapIds(), KnownPrograms()); !undone)
      error.message += "\nand " + undone.error().message;
  }
}

Result<std::vector<KernelDataplane::Attachment>> KernelDataplane::Impl::AttachAll() {
  if (auto prepared = PrepareHandover(); !prepared) return std::unexpected(prepared.error());
  std::vector<InterfaceAttachment> attached;
  std::vector<Attachment> attachments;
  Error missing;
  for (const std::string& interface : options.interfaces) {
    auto one = AttachTo(interface);
    if (!one && one.error().kind == ErrorKind::kNotFound) {
      missing = one.error();
      continue;
    }
    if (!one) {
      Error error = one.error();
      UndoAttach(attached, error);
      SetHandover(0);
      return std::unexpected(error);
    }
    only_alone = only_alone || (one->alone && !one->was_there);
    attachments.push_back({interface, one->native, one->was_there});
    attached.push_back({interface, std::move(*one)});
  }
  if (auto handed = HandOver(attached); !handed) return std::unexpected(handed.error());
  if (auto seen = SeeDispatchers(attached); !seen) return std::unexpected(seen.error());
  if (attachments.empty() && !options.interfaces.empty()) return std::unexpected(missing);
  return attachments;
}

// `shuntctl upgrade` may be at work.
Result<std::optional<LockedFolder>> KernelDataplane::Impl::LockSet() const {
  if (!folder) return std::nullopt;
  auto locked = LockedFolder::Lock(folder->within(), set, LockKind::kWait);
  if (!locked) return std::unexpected(locked.error());
  return std::move(*locked);
}

Result<std::vector<KernelDataplane::Attachment>> KernelDataplane::Attach() {
  const std::scoped_lock lock(impl_->attach_mutex);
  const auto locked = impl_->LockSet();
  if (!locked) return std::unexpected(locked.error());
  if (impl_->earlier) {
    if (auto begun = impl_->BeginTakeOver(*this); !begun) return std::unexpected(begun.error());
  }
  auto attachments = impl_->AttachAll();
  if (!attachments) return attachments;
  if (impl_->earlier) {
    if (auto ended = impl_->EndTakeOver(*this); !ended) return std::unexpected(ended.error());
  }
  if (auto pinned = impl_->KeepProgram(); !pinned) return std::unexpected(pinned.error());
  return attachments;
}

Result<KernelDataplane::Attachment> KernelDataplane::AttachTo(const std::string& interface) {
  const std::scoped_lock lock(impl_->attach_mutex);
  const auto locked = impl_->LockSet();
  if (!locked) return std::unexpected(locked.error());
  auto attached = impl_->AttachTo(interface);
  if (!attached) return std::unexpected(attached.error());
  impl_->only_alone = impl_->only_alone || (attached->alone && !attached->was_there);
  return Attachment{interface, attached->native, attached->was_there};
}

// The next process finds what is attached.
Status KernelDataplane::Impl::KeepProgram() {
  earlier_program.reset();
  if (!folder || program_is_pinned) return {};
  auto constants = object->ConstantsMap();
  if (!constants) return std::unexpected(constants.error());
  auto pinned = PinProgram(program, *constants, PinFolder());
  program_is_pinned = pinned.has_value();
  return pinned;
}

Status KernelDataplane::GivePins(uid_t user, gid_t group) {
  return impl_->folder ? impl_->folder->GiveTo(user, group) : Status();
}

Status KernelDataplane::Detach() {
  const std::scoped_lock lock(impl_->attach_mutex);
  const auto owners = impl_->OwnerMapIds();
  const auto known = impl_->KnownPrograms();
  for (const std::string& interface : impl_->options.interfaces)
    if (auto detached = DetachFrom(interface, owners, known); !detached) return std::unexpected(detached.error());
  if (auto closed = impl_->CloseProbeTunnel(); !closed) return closed;
  if (!impl_->folder) return {};
  if (auto removed = RemoveFolder(impl_->PinFolder()); !removed) return removed;
  return impl_->folder->RemoveIfEmpty();
}

}  // namespace shunt

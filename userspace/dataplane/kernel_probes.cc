// SPDX-License-Identifier: Apache-2.0
// KernelDataplane's tunnel for probes: bpf/probe.bpf.c on the egress of interfaces, reading the balancer's `reals`.
// A filter keeps its program, and with it the map; the pin is for the next process, to know its own.
#include <net/if.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "userspace/bpf/programs.h"
#include "userspace/bpf/tc.h"
#include "userspace/dataplane/kernel_dataplane_impl.h"

namespace shunt {
namespace {

constexpr char kProgram[] = "shunt_probe";

}  // namespace

// The pinned program stays where it is the same: then no filter is replaced.
Status KernelDataplane::Impl::LoadProbe() {
  if (probe) return {};
  auto opened = Object::Open(kProgram, ProbeElf());
  if (!opened) return std::unexpected(opened.error());
  if (auto used = opened->UseMap("reals", reals.map()); !used) return used;
  if (auto loaded = opened->Load(); !loaded) return loaded;
  auto identity = opened->Identify(kProgram);
  if (!identity) return std::unexpected(identity.error());
  if (folder) {
    auto pinned = OpenPinnedProgram(PinFolder() + "/probe");
    if (!pinned && pinned.error().kind != ErrorKind::kNotFound) return std::unexpected(pinned.error());
    auto there = pinned ? IdentifyProgram(pinned->get(), {}) : Result<ProgramIdentity>();
    if (pinned && there && there->tag == identity->tag && there->map_ids == identity->map_ids) {
      probe = KeptProgram{std::move(*pinned), std::move(*there)};
      return {};
    }
  }
  auto fd = opened->KeepProgram(kProgram);
  if (!fd) return std::unexpected(fd.error());
  probe = KeptProgram{std::move(*fd), std::move(*identity)};
  return folder ? Pin(probe->fd.get(), PinFolder() + "/probe") : Status();
}

Status KernelDataplane::OpenProbeTunnel(std::span<const uint32_t> interface_indices) {
  const std::scoped_lock lock(impl_->probe_mutex);
  if (auto loaded = impl_->LoadProbe(); !loaded) return loaded;
  Status opened;
  for (const uint32_t interface_index : interface_indices) {
    auto attached = AttachTcEgress(interface_index, impl_->probe->fd.get(), impl_->probe->identity);
    if (attached) continue;
    if (opened) {
      opened = std::unexpected(attached.error());
    } else {
      opened.error().message += "\n" + attached.error().message;
    }
  }
  return opened;
}

Status KernelDataplane::Impl::CloseProbeTunnel() {
  const std::scoped_lock lock(probe_mutex);
  auto interfaces = AllInterfaces();
  if (!interfaces) return std::unexpected(interfaces.error());
  for (const std::string& interface : *interfaces)
    if (auto closed = CloseProbeTunnelOn(interface); !closed) return std::unexpected(closed.error());
  return {};
}

Result<bool> CloseProbeTunnelOn(const std::string& interface) {
  const uint32_t index = if_nametoindex(interface.c_str());
  return index == 0 ? Result<bool>(false) : DetachTcEgress(index, kProgram);
}

}  // namespace shunt

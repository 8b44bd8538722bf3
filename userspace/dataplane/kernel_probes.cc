// SPDX-License-Identifier: Apache-2.0
// KernelDataplane's tunnel for probes: bpf/probe.bpf.c on the egress of interfaces, reading the balancer's `reals`.
// Nothing is pinned: a filter keeps its program, and with it the map.
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

struct FreeNames {
  void operator()(struct if_nameindex* names) const { if_freenameindex(names); }
};

}  // namespace

Status KernelDataplane::Impl::LoadProbe() {
  if (probe) return {};
  auto opened = Object::Open(kProgram, ProbeElf());
  if (!opened) return std::unexpected(opened.error());
  if (auto used = opened->UseMap("reals", reals.map()); !used) return used;
  if (auto loaded = opened->Load(); !loaded) return loaded;
  auto fd = opened->ProgramFd(kProgram);
  if (!fd) return std::unexpected(fd.error());
  auto identified = IdentifyProgram(*fd);
  if (!identified) return std::unexpected(identified.error());
  probe_identity = std::move(*identified);
  probe = std::make_unique<Object>(std::move(*opened));
  return {};
}

Status KernelDataplane::OpenProbeTunnel(std::span<const uint32_t> interface_indices) {
  const std::scoped_lock lock(impl_->probe_mutex);
  if (auto loaded = impl_->LoadProbe(); !loaded) return loaded;
  auto fd = impl_->probe->ProgramFd(kProgram);
  if (!fd) return std::unexpected(fd.error());
  Status opened;
  for (const uint32_t interface_index : interface_indices) {
    auto attached = AttachTcEgress(interface_index, *fd, impl_->probe_identity);
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
  const std::unique_ptr<struct if_nameindex[], FreeNames> interfaces(if_nameindex());
  if (!interfaces) return FailErrno("listing the interfaces", errno);
  for (size_t i = 0; interfaces[i].if_index != 0; ++i)
    if (auto detached = DetachTcEgress(interfaces[i].if_index, kProgram); !detached)
      return std::unexpected(detached.error());
  return {};
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/xdp.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <xdp/libxdp.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/bpf/kernel_log.h"

namespace shunt {
namespace {

struct CloseXdp {
  void operator()(xdp_program* program) const { xdp_program__close(program); }
  void operator()(xdp_multiprog* programs) const { xdp_multiprog__close(programs); }
};
using XdpProgram = std::unique_ptr<xdp_program, CloseXdp>;
using XdpPrograms = std::unique_ptr<xdp_multiprog, CloseXdp>;

std::string_view ModeName(bool native) { return native ? "native" : "generic"; }
xdp_attach_mode LibxdpMode(bool native) { return native ? XDP_MODE_NATIVE : XDP_MODE_SKB; }

Result<int> InterfaceIndex(const std::string& interface) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("XDP on {}: there is no such interface in this network namespace", interface));
  }
  return static_cast<int>(index);
}

// Null if nothing is attached.
Result<XdpPrograms> ReadPrograms(const std::string& interface, int ifindex) {
  KernelLog log;
  xdp_multiprog* programs = xdp_multiprog__get_from_ifindex(ifindex);
  const long error = libxdp_get_error(programs);
  if (error == -ENOENT) return XdpPrograms();
  if (error)
    return log.Fail(fmt::format("asking what XDP programs {} has", interface), static_cast<int>(std::labs(error)));
  return XdpPrograms(programs);
}

Result<XdpPresence> Describe(const xdp_multiprog* programs) {
  XdpPresence presence;
  if (!programs) return presence;
  presence.native = xdp_multiprog__attach_mode(programs) == XDP_MODE_NATIVE;
  presence.dispatcher = !xdp_multiprog__is_legacy(programs);
  const auto add = [&](const xdp_program* program) -> Status {
    auto identity = IdentifyProgram(xdp_program__fd(program));
    if (!identity) return std::unexpected(identity.error());
    presence.programs.push_back(std::move(*identity));
    return {};
  };
  Status added;
  if (const xdp_program* only = presence.dispatcher ? nullptr : xdp_multiprog__main_prog(programs)) added = add(only);
  // A program offloaded to the hardware stands beside the others and is nobody's but its owner's.
  if (const xdp_program* hardware = xdp_multiprog__hw_prog(programs); hardware && added) added = add(hardware);
  for (const xdp_program* next = nullptr; added && (next = xdp_multiprog__next_prog(next, programs));)
    added = add(next);
  if (!added) return std::unexpected(added.error());
  return presence;
}

Result<XdpProgram> OpenById(uint32_t id) {
  KernelLog log;
  xdp_program* program = xdp_program__from_id(id);
  const long error = libxdp_get_error(program);
  if (error) return log.Fail(fmt::format("opening XDP program {}", id), static_cast<int>(std::labs(error)));
  return XdpProgram(program);
}

std::unexpected<Error> AttachError(const KernelLog& log, const std::string& interface, bool native, int error) {
  std::string doing = fmt::format("attaching to {} ({} XDP)", interface, ModeName(native));
  auto failure = log.Fail(doing, error);
  if (error == ERANGE || log.Says("MTU")) {
    failure.error().message += "\nThe MTU is too large for the driver's native XDP: lower it (`ip link set dev " +
                               interface + " mtu ...`, of a veth also its peer's) or ask for generic XDP";
  } else if (native && error == EOPNOTSUPP) {
    failure.error().message += "\nThe driver has no native XDP; ask for generic XDP";
  }
  return failure;
}

// Adds the program; native first and generic only where the driver has no XDP, or in the mode that is asked for.
Result<bool> AttachFresh(const std::string& interface, int ifindex, XdpMode mode, xdp_program* program) {
  for (const bool native : {true, false}) {
    if (mode == (native ? XdpMode::kGeneric : XdpMode::kNative)) continue;
    KernelLog log;
    const int error = xdp_program__attach(program, ifindex, LibxdpMode(native), 0);
    if (!error) return native;
    if (!(native && mode == XdpMode::kAuto && error == -EOPNOTSUPP)) return AttachError(log, interface, native, -error);
  }
  return Fail(ErrorKind::kSystem, fmt::format("attaching to {}: no mode is left", interface));
}

Result<XdpProgram> MakeProgram(const Object& object, const std::string& name) {
  KernelLog log;
  LIBBPF_OPTS(xdp_program_opts, options, .obj = object.raw(), .prog_name = name.c_str());
  xdp_program* program = xdp_program__create(&options);
  const long error = libxdp_get_error(program);
  if (error) return log.Fail(fmt::format("preparing program {}", name), static_cast<int>(std::labs(error)));
  return XdpProgram(program);
}

// In one step: not a packet meets neither or both.
Status SwapOnly(const XdpRequest& request, int ifindex, bool native, const ProgramIdentity& old, Object& object) {
  auto old_program = OpenById(old.id);
  if (!old_program) return std::unexpected(old_program.error());
  if (auto loaded = object.Load(); !loaded) return loaded;
  auto fd = object.ProgramFd(request.program);
  if (!fd) return std::unexpected(fd.error());
  KernelLog log;
  LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = xdp_program__fd(old_program->get()));
  const uint32_t flags = XDP_FLAGS_REPLACE | (native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
  const int error = bpf_xdp_attach(ifindex, *fd, flags, &options);
  if (error) return AttachError(log, request.interface, native, -error);
  return {};
}

Status DetachProgram(const std::string& interface, int ifindex, const XdpPresence& presence, uint32_t id) {
  auto program = OpenById(id);
  if (!program) return std::unexpected(program.error());
  KernelLog log;
  const int error = xdp_program__detach(program->get(), ifindex, LibxdpMode(presence.native), 0);
  if (error) return log.Fail(fmt::format("detaching program {} from {}", id, interface), -error);
  return {};
}

// Ours is there in another mode than asked for. The kernel refuses two modes at once, so the old one goes first
// and comes back if the new one cannot be attached.
Result<bool> ChangeMode(const XdpRequest& request, int ifindex, const XdpPresence& presence, uint32_t old_id,
                        xdp_program* program) {
  auto old_program = OpenById(old_id);
  if (!old_program) return std::unexpected(old_program.error());
  auto detached = DetachProgram(request.interface, ifindex, presence, old_id);
  if (!detached) return std::unexpected(detached.error());
  auto native = AttachFresh(request.interface, ifindex, request.mode, program);
  if (native) return native;
  KernelLog log;
  const int error = xdp_program__attach(old_program->get(), ifindex, LibxdpMode(presence.native), 0);
  if (error) native.error().message += "\nand " + log.Fail("putting the old program back", -error).error().message;
  return native;
}

std::unexpected<Error> ForeignProgram(const XdpRequest& request, const ProgramIdentity& foreign) {
  return Fail(ErrorKind::kExists,
              fmt::format("attaching to {0}: it has an XDP program of somebody else, {1} (id {2}), that shares the "
                          "interface with no other; stop its owner or remove it (`ip link set dev {0} xdp off`)",
                          request.interface, Quote(foreign.name), foreign.id));
}

}  // namespace

const ProgramIdentity* XdpPresence::FindUserOf(uint32_t map_id) const {
  const auto found = std::ranges::find_if(programs, [&](const auto& program) { return program.UsesMap(map_id); });
  return found == programs.end() ? nullptr : &*found;
}

Result<XdpPresence> InspectXdp(const std::string& interface) {
  auto ifindex = InterfaceIndex(interface);
  if (!ifindex) return std::unexpected(ifindex.error());
  auto programs = ReadPrograms(interface, *ifindex);
  if (!programs) return std::unexpected(programs.error());
  return Describe(programs->get());
}

Result<XdpAttachment> AttachXdp(const XdpRequest& request, Object object) {
  auto ifindex = InterfaceIndex(request.interface);
  if (!ifindex) return std::unexpected(ifindex.error());
  auto presence = InspectXdp(request.interface);
  if (!presence) return std::unexpected(presence.error());
  const ProgramIdentity* ours = presence->FindUserOf(request.owner_map_id);
  const bool there = !presence->programs.empty();
  const bool mode_fits = request.mode == XdpMode::kAuto || presence->native == (request.mode == XdpMode::kNative);
  if (ours && mode_fits && ours->SameVersion(request.wanted)) return XdpAttachment{presence->native, true};
  if (there && !presence->dispatcher && !ours) return ForeignProgram(request, presence->programs.front());
  if (ours && mode_fits && !presence->dispatcher) {
    auto swapped = SwapOnly(request, *ifindex, presence->native, *ours, object);
    if (!swapped) return std::unexpected(swapped.error());
    return XdpAttachment{presence->native, true};
  }
  auto program = MakeProgram(object, request.program);
  if (!program) return std::unexpected(program.error());
  if (ours && !mode_fits) {
    auto native = ChangeMode(request, *ifindex, *presence, ours->id, program->get());
    if (!native) return std::unexpected(native.error());
    return XdpAttachment{*native, true};
  }
  // A dispatcher that stands sets the mode for all of its programs.
  XdpMode mode = request.mode;
  if (there && mode == XdpMode::kAuto) mode = presence->native ? XdpMode::kNative : XdpMode::kGeneric;
  auto native = AttachFresh(request.interface, *ifindex, mode, program->get());
  if (!native) return std::unexpected(native.error());
  if (ours) {
    auto detached = DetachProgram(request.interface, *ifindex, *presence, ours->id);
    if (!detached) return std::unexpected(detached.error());
  }
  return XdpAttachment{*native, ours != nullptr};
}

Result<bool> DetachXdp(const std::string& interface, uint32_t owner_map_id) {
  bool any = false;
  for (;;) {  // a replacement that was interrupted may have left two
    auto ifindex = InterfaceIndex(interface);
    if (!ifindex) return std::unexpected(ifindex.error());
    auto presence = InspectXdp(interface);
    if (!presence) return std::unexpected(presence.error());
    const ProgramIdentity* ours = presence->FindUserOf(owner_map_id);
    if (!ours) return any;
    auto detached = DetachProgram(interface, *ifindex, *presence, ours->id);
    if (!detached) return std::unexpected(detached.error());
    any = true;
  }
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <xdp/libxdp.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/bpf/kernel_log.h"
#include "userspace/bpf/seen_dispatchers.h"

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

// The verifier, from Linux 6.13 and later ones of 6.12 on; libxdp's dispatcher has an answer to it since 2025.
constexpr std::string_view kDispatcherRefuses = "Extension program changes packet data";

std::unexpected<Error> AttachError(const KernelLog& log, const std::string& interface, bool native, int error) {
  std::string doing = fmt::format("attaching to {} ({} XDP)", interface, ModeName(native));
  auto failure = log.Fail(doing, error);
  if (error == ERANGE || log.Says("MTU")) {
    failure.error().message += "\nThe MTU is too large for the driver's native XDP: lower it (`ip link set dev " +
                               interface + " mtu ...`, of a veth also its peer's) or ask for generic XDP";
  } else if (native && error == EOPNOTSUPP) {
    failure.error().message += "\nThe driver has no native XDP; ask for generic XDP";
  } else if (log.Says(kDispatcherRefuses)) {
    failure.error().message +=
        "\nThis kernel lets no program that changes packets into the dispatcher of this libxdp: "
        "take the other programs off the interface, or install a newer libxdp";
  }
  return failure;
}

// Adds the program; native first and generic only where the driver has no XDP, or in the mode that is asked for.
template <class Attach>
Result<bool> AttachFresh(const std::string& interface, XdpMode mode, const Attach& attach) {
  for (const bool native : {true, false}) {
    if (mode == (native ? XdpMode::kGeneric : XdpMode::kNative)) continue;
    KernelLog log;
    const int error = attach(native);
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

uint32_t ModeFlag(bool native) { return native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE; }

const OpenProgram* FindOpen(std::span<const OpenProgram> programs, uint32_t id) {
  const auto found = std::ranges::find(programs, id, [](const OpenProgram& program) { return program.identity.id; });
  return found == programs.end() ? nullptr : &*found;
}

// The only program is replaced in one step: not a packet meets neither or both.
Status SwapOnly(const XdpRequest& request, int ifindex, bool native, uint32_t old_id) {
  const OpenProgram* known = FindOpen(request.earlier, old_id);
  XdpProgram opened;
  if (!known) {
    auto old_program = OpenById(old_id);
    if (!old_program) return std::unexpected(old_program.error());
    opened = std::move(*old_program);
  }
  KernelLog log;
  LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = known ? known->fd : xdp_program__fd(opened.get()));
  const int error = bpf_xdp_attach(ifindex, request.alone.fd, XDP_FLAGS_REPLACE | ModeFlag(native), &options);
  if (error) return AttachError(log, request.interface, native, -error);
  return {};
}

Status DetachProgram(const std::string& interface, int ifindex, bool native, uint32_t id) {
  if (!MayOpenProgramsById())
    return Fail(ErrorKind::kSystem, fmt::format("detaching program {} from {}: taking it out of a dispatcher takes "
                                                "CAP_SYS_ADMIN; stop shuntd and run `shuntctl detach` as root",
                                                id, interface));
  auto program = OpenById(id);
  if (!program) return std::unexpected(program.error());
  KernelLog log;
  const int error = xdp_program__detach(program->get(), ifindex, LibxdpMode(native), 0);
  if (error) return log.Fail(fmt::format("detaching program {} from {}", id, interface), -error);
  return {};
}

// Without asking for it by id; only if it still is what stands there.
Status DetachOnly(const std::string& interface, int ifindex, bool native, const OpenProgram& program) {
  KernelLog log;
  LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = program.fd);
  const int error = bpf_xdp_detach(ifindex, XDP_FLAGS_REPLACE | ModeFlag(native), &options);
  if (error) return log.Fail(fmt::format("detaching program {} from {}", program.identity.id, interface), -error);
  return {};
}

struct AttachedIds {
  uint32_t native = 0;  // 0: none
  uint32_t generic = 0;
  uint32_t hardware = 0;

  uint32_t first() const { return native != 0 ? native : generic; }
};

Result<AttachedIds> Query(const std::string& interface, int ifindex) {
  KernelLog log;
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  if (const int error = bpf_xdp_query(ifindex, 0, &query); error)
    return log.Fail(fmt::format("asking what XDP programs {} has", interface), -error);
  return AttachedIds{.native = query.drv_prog_id, .generic = query.skb_prog_id, .hardware = query.hw_prog_id};
}

// The only program on the interface, if it is one that is known; unset: nothing is there, or it has to be asked for.
Result<std::optional<XdpPresence>> FindKnown(const std::string& interface, int ifindex,
                                             std::span<const OpenProgram> known) {
  const auto ids = Query(interface, ifindex);
  if (!ids) return std::unexpected(ids.error());
  if (ids->hardware != 0 || (ids->native != 0 && ids->generic != 0)) return std::nullopt;
  const OpenProgram* only = FindOpen(known, ids->first());
  if (!only) return std::nullopt;
  return XdpPresence{.native = ids->native != 0, .programs = {only->identity}};
}

// Where no program may be opened by its id.
Result<XdpPresence> Recall(const std::string& interface, int ifindex, const SeenDispatchers* seen) {
  const auto ids = Query(interface, ifindex);
  if (!ids) return std::unexpected(ids.error());
  const uint32_t id = ids->first() != 0 ? ids->first() : ids->hardware;
  if (id == 0) return XdpPresence();
  if (const XdpPresence* presence = seen ? seen->Recall(ifindex, id) : nullptr) return *presence;
  return Fail(ErrorKind::kExists,
              fmt::format("asking what XDP programs {0} has: program {1} is somebody else's, as far as can be told "
                          "without CAP_SYS_ADMIN, given up after the start; stop its owner or remove it (`ip link set "
                          "dev {0} xdp off`), or restart the service if it shares the interface",
                          interface, id));
}

// Adds ours where none of it is. libxdp decides whether it stands in a dispatcher or alone.
Result<XdpAttachment> AttachNew(const XdpRequest& request, int ifindex, XdpMode mode, const Object& object) {
  auto program = MakeProgram(object, request.program);
  if (!program) return std::unexpected(program.error());
  auto native = AttachFresh(request.interface, mode, [&](bool in_driver) {
    return xdp_program__attach(program->get(), ifindex, LibxdpMode(in_driver), 0);
  });
  if (!native) return std::unexpected(native.error());
  OpenProgram attached{.fd = xdp_program__fd(program->get()), .identity = {}};
  attached.identity.id = xdp_program__id(program->get());
  auto alone = FindKnown(request.interface, ifindex, std::span(&attached, 1));
  if (!alone) return std::unexpected(alone.error());
  if (!*alone) return XdpAttachment{.native = *native};
  XdpRequest swap = request;
  swap.earlier = {attached};
  if (auto swapped = SwapOnly(swap, ifindex, *native, attached.identity.id); !swapped)
    return std::unexpected(swapped.error());
  return XdpAttachment{.native = *native, .alone = true};
}

// Without libxdp, which would load the program anew only to learn again that there is no dispatcher.
Result<XdpAttachment> AttachOnly(const XdpRequest& request, int ifindex) {
  auto native = AttachFresh(request.interface, request.mode, [&](bool in_driver) {
    return bpf_xdp_attach(ifindex, request.alone.fd, XDP_FLAGS_UPDATE_IF_NOEXIST | ModeFlag(in_driver), nullptr);
  });
  if (!native) return std::unexpected(native.error());
  return XdpAttachment{.native = *native, .alone = true};
}

// Where nothing is: in a dispatcher, so that others can join, or alone where that cannot be.
Result<XdpAttachment> AttachFirst(const XdpRequest& request, int ifindex, const Object& object) {
  if (request.only_alone || !MayOpenProgramsById()) return AttachOnly(request, ifindex);
  auto attached = AttachNew(request, ifindex, request.mode, object);
  if (attached || attached.error().message.find(kDispatcherRefuses) == std::string::npos) return attached;
  return AttachOnly(request, ifindex);
}

// Ours is there in another mode than asked for. The kernel refuses two modes at once, so the old one goes first
// and comes back if the new one cannot be attached.
Result<XdpAttachment> ChangeMode(const XdpRequest& request, int ifindex, bool native_before, uint32_t old_id,
                                 const Object& object) {
  auto old_program = OpenById(old_id);
  if (!old_program) return std::unexpected(old_program.error());
  auto detached = DetachProgram(request.interface, ifindex, native_before, old_id);
  if (!detached) return std::unexpected(detached.error());
  auto attached = AttachFirst(request, ifindex, object);
  if (attached) attached->was_there = true;
  if (attached) return attached;
  KernelLog log;
  const int error = xdp_program__attach(old_program->get(), ifindex, LibxdpMode(native_before), 0);
  if (error) attached.error().message += "\nand " + log.Fail("putting the old program back", -error).error().message;
  return attached;
}

std::unexpected<Error> ForeignProgram(const XdpRequest& request, const ProgramIdentity& foreign) {
  return Fail(ErrorKind::kExists,
              fmt::format("attaching to {0}: it has an XDP program of somebody else, {1} (id {2}), that shares the "
                          "interface with no other; stop its owner or remove it (`ip link set dev {0} xdp off`)",
                          request.interface, Quote(foreign.name), foreign.id));
}

std::vector<const ProgramIdentity*> OursIn(const XdpPresence& presence, std::span<const uint32_t> owner_map_ids) {
  std::vector<const ProgramIdentity*> ours;
  for (const ProgramIdentity& program : presence.programs)
    if (std::ranges::any_of(owner_map_ids, [&](uint32_t id) { return program.UsesMap(id); })) ours.push_back(&program);
  return ours;
}

Result<XdpAttachment> AttachAlone(const XdpRequest& request, int ifindex, const XdpPresence& presence,
                                  const ProgramIdentity& ours, const Object& object) {
  const bool mode_fits = request.mode == XdpMode::kAuto || presence.native == (request.mode == XdpMode::kNative);
  if (!mode_fits) return ChangeMode(request, ifindex, presence.native, ours.id, object);
  const bool is_same = ours.id == request.alone.identity.id ||
                       (ours.SameVersion(request.alone.identity) && ours.UsesMap(request.owner_map_ids.front()));
  if (!is_same) {
    if (auto swapped = SwapOnly(request, ifindex, presence.native, ours.id); !swapped)
      return std::unexpected(swapped.error());
  }
  return XdpAttachment{.native = presence.native, .was_there = true, .alone = true};
}

// A dispatcher that stands sets the mode for all of its programs.
Result<XdpAttachment> AttachBeside(const XdpRequest& request, int ifindex, const XdpPresence& presence,
                                   std::span<const ProgramIdentity* const> ours, const Object& object) {
  const bool mode_fits = request.mode == XdpMode::kAuto || presence.native == (request.mode == XdpMode::kNative);
  if (!mode_fits && ours.size() == 1) return ChangeMode(request, ifindex, presence.native, ours.front()->id, object);
  const XdpMode mode = request.mode != XdpMode::kAuto ? request.mode
                       : presence.native              ? XdpMode::kNative
                                                      : XdpMode::kGeneric;
  XdpAttachment attachment{.native = presence.native, .was_there = !ours.empty()};
  bool wanted_is_there = false;
  for (const ProgramIdentity* program : ours) {
    if (!wanted_is_there && program->SameVersion(request.beside)) {
      wanted_is_there = true;
    } else {
      attachment.superseded.push_back(program->id);
    }
  }
  if (wanted_is_there) return attachment;
  auto added = AttachNew(request, ifindex, mode, object);
  if (!added) return added;
  attachment.native = added->native;
  return attachment;
}

}  // namespace

const ProgramIdentity* XdpPresence::FindUserOf(uint32_t map_id) const {
  const auto found = std::ranges::find_if(programs, [&](const auto& program) { return program.UsesMap(map_id); });
  return found == programs.end() ? nullptr : &*found;
}

Result<XdpPresence> InspectXdp(const std::string& interface, std::span<const OpenProgram> known,
                               SeenDispatchers* seen) {
  auto ifindex = InterfaceIndex(interface);
  if (!ifindex) return std::unexpected(ifindex.error());
  auto only = FindKnown(interface, *ifindex, known);
  if (!only) return std::unexpected(only.error());
  if (*only) return std::move(**only);
  if (!MayOpenProgramsById()) return Recall(interface, *ifindex, seen);
  auto programs = ReadPrograms(interface, *ifindex);
  if (!programs) return std::unexpected(programs.error());
  auto presence = Describe(programs->get());
  if (presence && presence->dispatcher && seen)
    seen->Note(*ifindex, xdp_program__id(xdp_multiprog__main_prog(programs->get())), *presence);
  return presence;
}

Result<XdpAttachment> AttachXdp(const XdpRequest& request, Object object) {
  auto ifindex = InterfaceIndex(request.interface);
  if (!ifindex) return std::unexpected(ifindex.error());
  std::vector<OpenProgram> known = request.earlier;
  known.push_back(request.alone);
  auto presence = InspectXdp(request.interface, known, request.seen);
  if (!presence) return std::unexpected(presence.error());
  const auto ours = OursIn(*presence, request.owner_map_ids);
  if (presence->dispatcher) return AttachBeside(request, *ifindex, *presence, ours, object);
  if (!ours.empty()) return AttachAlone(request, *ifindex, *presence, *ours.front(), object);
  if (!presence->programs.empty()) return ForeignProgram(request, presence->programs.front());
  return AttachFirst(request, *ifindex, object);
}

Result<bool> DetachXdp(const std::string& interface, std::span<const uint32_t> owner_map_ids,
                       std::span<const OpenProgram> known) {
  bool any = false;
  for (;;) {  // a replacement that was interrupted may have left two
    auto ifindex = InterfaceIndex(interface);
    if (!ifindex) return std::unexpected(ifindex.error());
    auto presence = InspectXdp(interface, known);
    if (!presence) return std::unexpected(presence.error());
    const auto ours = OursIn(*presence, owner_map_ids);
    if (ours.empty()) return any;
    const uint32_t id = ours.front()->id;
    const OpenProgram* open = presence->dispatcher ? nullptr : FindOpen(known, id);
    auto detached = open ? DetachOnly(interface, *ifindex, presence->native, *open)
                         : DetachProgram(interface, *ifindex, presence->native, id);
    if (!detached) return std::unexpected(detached.error());
    any = true;
  }
}

Status DetachXdpProgram(const std::string& interface, uint32_t program_id) {
  auto ifindex = InterfaceIndex(interface);
  if (!ifindex) return std::unexpected(ifindex.error());
  auto presence = InspectXdp(interface);
  if (!presence) return std::unexpected(presence.error());
  return DetachProgram(interface, *ifindex, presence->native, program_id);
}

}  // namespace shunt

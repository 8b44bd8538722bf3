// SPDX-License-Identifier: Apache-2.0
// XDP on an interface: what is attached, attaching ours and detaching ours, through libxdp: as one of several in
// its dispatcher where the kernel can, else as the only program. An attachment outlives the process. A program is
// ours if it uses a given map of ours; programs of others are never touched.
//
// What stands alone on an interface is always a program that the caller loaded itself, pins and knows: nobody has to
// ask the kernel for it by id, which wants CAP_SYS_ADMIN. In a dispatcher libxdp loads each program anew for its place.
// Called by userspace/dataplane and decap.cc; one thread at a time for one interface.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/bpf/object.h"
#include "userspace/bpf/xdp_mode.h"

namespace shunt {

class SeenDispatchers;

struct XdpPresence {
  bool native = false;
  bool dispatcher = false;                // libxdp's: others can attach beside
  std::vector<ProgramIdentity> programs;  // empty = none

  const ProgramIdentity* FindUserOf(uint32_t map_id) const;
};

// A program that this process has open.
struct OpenProgram {
  int fd = -1;  // the holder's
  ProgramIdentity identity;
};

// kNotFound if there is no such interface in this network namespace. `known`: programs that need not be asked for by id
// where they stand alone. Without CAP_SYS_ADMIN, no others can be told than those and what is in `seen`; with it, a
// dispatcher is noted there.
Result<XdpPresence> InspectXdp(const std::string& interface, std::span<const OpenProgram> known = {},
                               SeenDispatchers* seen = nullptr);

struct XdpAttachment {
  bool native = false;
  bool was_there = false;  // ours was attached already; the same version stayed, another one was replaced
  bool alone = false;      // not in a dispatcher: the kernel has none, or whoever attached it did without
  // Ids of other versions of ours that stand in the dispatcher, too, until the caller takes them away.
  std::vector<uint32_t> superseded{};
};
struct XdpRequest {
  std::string interface;
  XdpMode mode = XdpMode::kAuto;
  std::vector<uint32_t> owner_map_ids;  // programs that use one of these maps are ours; the first is of the maps to use
  std::string program;                  // name in the object
  OpenProgram alone;                    // what is to stand there if it stands alone
  ProgramIdentity beside;               // what it is in a dispatcher; tag and constants count
  std::vector<OpenProgram> earlier{};   // of earlier processes, as far as they are pinned
  bool only_alone = false;              // this kernel was seen to have no dispatcher
  SeenDispatchers* seen = nullptr;      // the caller's
};
// `object`: opened and adjusted for the dispatcher, not loaded. Without CAP_SYS_ADMIN ours is attached alone. Ours of
// the same version and mode stays as it is. Another version is replaced in one step where it is the only program; in a
// dispatcher the new one is added and the old one told as superseded. Only a change of mode leaves a gap.
Result<XdpAttachment> AttachXdp(const XdpRequest& request, Object object);

// Detaches ours, all versions; false if there was none.
Result<bool> DetachXdp(const std::string& interface, std::span<const uint32_t> owner_map_ids,
                       std::span<const OpenProgram> known = {});
// One of several in a dispatcher.
Status DetachXdpProgram(const std::string& interface, uint32_t program_id);

}  // namespace shunt

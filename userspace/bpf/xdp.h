// SPDX-License-Identifier: Apache-2.0
// XDP on an interface: what is attached, attaching ours and detaching ours, through libxdp: as one of several in
// its dispatcher where the kernel can, else as the only program. An attachment outlives the process. A program is
// ours if it uses a given map of ours; programs of others are never touched.
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

struct XdpPresence {
  bool native = false;
  bool dispatcher = false;                // libxdp's: others can attach beside
  std::vector<ProgramIdentity> programs;  // empty = none

  const ProgramIdentity* FindUserOf(uint32_t map_id) const;
};
// kNotFound if there is no such interface in this network namespace.
Result<XdpPresence> InspectXdp(const std::string& interface);

struct XdpAttachment {
  bool native = false;
  bool was_there = false;  // ours was attached already; the same version stayed, another one was replaced
};
struct XdpRequest {
  std::string interface;
  XdpMode mode = XdpMode::kAuto;
  uint32_t owner_map_id = 0;  // programs that use this map are ours
  std::string program;        // name in the object
  ProgramIdentity wanted;     // of the same program, loaded with the same settings
};
// `object`: opened and adjusted, not loaded. Ours of the same version and mode stays as it is. Another version is
// replaced: in one step where it is the only program, else new before old; only a change of mode leaves a gap.
Result<XdpAttachment> AttachXdp(const XdpRequest& request, Object object);

// Detaches ours; false if there was none.
Result<bool> DetachXdp(const std::string& interface, uint32_t owner_map_id);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Dispatchers that this process has looked into, for when it no longer may: opening a program by its id takes
// CAP_SYS_ADMIN, which a daemon gives up after its start. Whoever joins or leaves later puts a new dispatcher, with
// another id, in the place of the old one and carries all others along; such a one is known by the folder that libxdp
// makes for its pins. Called by xdp.cc; one thread at a time.
#pragma once

#include <cstdint>
#include <map>

#include "userspace/base/unique_fd.h"
#include "userspace/bpf/xdp.h"

namespace shunt {

// CAP_SYS_ADMIN is in effect.
bool MayOpenProgramsById();

class SeenDispatchers {
 public:
  void Note(int interface_index, uint32_t dispatcher_id, XdpPresence presence);
  // What was seen on the interface, if this is that dispatcher or one that took its place; else null.
  const XdpPresence* Recall(int interface_index, uint32_t dispatcher_id) const;

 private:
  struct Seen {
    uint32_t dispatcher_id = 0;
    XdpPresence presence;
  };
  std::map<int, Seen> seen_;
  UniqueFd pins_;  // libxdp's folder, kept open because the way to it may be barred later
};

}  // namespace shunt

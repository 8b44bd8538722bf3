// SPDX-License-Identifier: Apache-2.0
// A tc program on the egress of an interface (clsact, by libbpf): attaching ours and detaching ours. It outlives the
// process. Ours is what stands at our place, below, and has our program's name; filters of others are never touched.
// Not here: XDP (xdp.h). Called by userspace/dataplane; one thread at a time for one interface.
#pragma once

#include <cstdint>
#include <string>

#include "userspace/base/result.h"
#include "userspace/bpf/object.h"

namespace shunt {

// Our place among an interface's filters. Early, so that no filter that ends the walk hides packets from ours, but not
// 1, which others take; ours passes what does not concern it on to the next.
inline constexpr uint32_t kTcPriority = 7;
inline constexpr uint32_t kTcHandle = 0x5348554e;  // "SHUN"

// Attaches a loaded program; `wanted` is what it is. The same one stays as it is; another of ours is replaced in one
// step. False: it was there. kNotFound if there is no such interface, kInvalid if it is no Ethernet
// one, kExists if somebody else is at our place.
Result<bool> AttachTcEgress(uint32_t interface_index, int program_fd, const ProgramIdentity& wanted);

// False: there was none of that name at our place. Takes clsact away, too, if no filter is left there.
Result<bool> DetachTcEgress(uint32_t interface_index, const std::string& program);

}  // namespace shunt

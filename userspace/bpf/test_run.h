// SPDX-License-Identifier: Apache-2.0
// Many test runs of a loaded program in one call, and what measuring them needs besides: programs of others, links that
// end with their owner. Not here: one run with its frame (object.h), attachments that outlive the process (xdp.h).
// Called by tools/shunt-bench; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"

namespace shunt {

// Runs an XDP program so many times in the kernel. Each run gets the frame that the one before it left.
Status RepeatXdpProgram(int program_fd, std::span<const std::byte> frame, uint32_t repetitions);

// The same, each with a fresh copy of the frame, as if it came in by the interface; what the program sends is sent.
// The kernel works in batches of `batch` frames.
Status RunLiveFrames(int program_fd, std::span<const std::byte> frame, uint32_t ingress_ifindex, uint32_t repetitions,
                     uint32_t batch);

// Any program in this kernel.
Result<UniqueFd> OpenProgramById(uint32_t id);

// Attached as the only program, for as long as the descriptor lives.
enum class XdpLinkMode { kNative, kGeneric };
Result<UniqueFd> LinkXdp(int program_fd, uint32_t ifindex, XdpLinkMode mode);

}  // namespace shunt

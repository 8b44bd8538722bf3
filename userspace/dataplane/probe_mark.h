// SPDX-License-Identifier: Apache-2.0
// The socket mark (SO_MARK) that takes a probe's packets through the tunnel of one entry of the real table: what
// bpf/probe.bpf.c looks for. Called by health/.
#pragma once

#include <cstdint>

namespace shunt {

uint32_t ProbeMark(uint32_t entry);  // entry: real_base + index

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The compiled BPF objects of bpf/, as they are built into the program. Not here: loading them (object.h).
#pragma once

#include <cstddef>
#include <span>

namespace shunt {

std::span<const std::byte> BalancerElf();
std::span<const std::byte> DecapElf();
std::span<const std::byte> ProbeElf();

}  // namespace shunt

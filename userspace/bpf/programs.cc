// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/programs.h"

#include <shunt/abi_config.h>  // the skeleton names its struct but does not declare it

#include <balancer.skel.h>
#include <decap.skel.h>
#include <probe.skel.h>

namespace shunt {

std::span<const std::byte> BalancerElf() {
  size_t bytes = 0;
  const void* elf = balancer_bpf__elf_bytes(&bytes);
  return {static_cast<const std::byte*>(elf), bytes};
}

std::span<const std::byte> DecapElf() {
  size_t bytes = 0;
  const void* elf = decap_bpf__elf_bytes(&bytes);
  return {static_cast<const std::byte*>(elf), bytes};
}

std::span<const std::byte> ProbeElf() {
  size_t bytes = 0;
  const void* elf = probe_bpf__elf_bytes(&bytes);
  return {static_cast<const std::byte*>(elf), bytes};
}

}  // namespace shunt

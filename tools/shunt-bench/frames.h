// SPDX-License-Identifier: Apache-2.0
// The frames that a benchmark begins with: one packet to a VIP. The wrapper program (bench.bpf.c) makes them packets of
// many flows; checksums are not kept, since nobody here reads them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "userspace/net/endpoint.h"

namespace shunt::bench {

enum class PacketKind : uint8_t {
  kAck,  // TCP, or any packet of UDP
  kSyn,
};

// Ethernet, IP, TCP or UDP, then padding: 80 bytes. The source is an address of the VIP's family.
std::vector<std::byte> MakeFrame(const VipKey& vip, PacketKind kind);

}  // namespace shunt::bench

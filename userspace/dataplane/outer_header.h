// SPDX-License-Identifier: Apache-2.0
// The encapsulation of the packet model: the bytes that go in front of an inner packet. Written from the rules
// "Encapsulation" in bpf/README.md, not from the program or encode.h. Pure; called by packet_model.cc alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "userspace/dataplane/plan.h"

namespace shunt {

// What an outer header takes from the packet it is made for.
struct InnerPacket {
  Family family = Family::kIpv4;
  size_t bytes = 0;           // from its IP header on
  uint8_t traffic_class = 0;  // or TOS
  uint32_t entropy = 0;       // low half of the flow hash
};

// Bytes of the outer IP header towards `real`.
size_t OuterIpBytes(const RealEntry& real);

// The longest inner packet that fits towards a real; 0 if its MTU has no room at all. `real.outer` is set.
size_t MaxInnerBytes(const RealEntry& real);

// The outer source of that packet. `real.outer` is set.
IpAddress OuterSourceOf(const RealEntry& real, const InnerPacket& inner);

// Ethernet and outer IP header. `real.outer` is set.
std::vector<uint8_t> MakeOuterHeader(const RealEntry& real, const InnerPacket& inner);

// The Internet checksum (RFC 1071) of `bytes`, as it stands in a header whose checksum field was zero.
uint16_t InternetChecksum(std::span<const uint8_t> bytes);

}  // namespace shunt

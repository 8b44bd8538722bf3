// SPDX-License-Identifier: Apache-2.0
// Model values to ABI structs and back: the one place in C++ where big-endian integers, checksums and outer
// headers are made. Used by KernelDataplane and the data-plane tests only.
#pragma once

#include <shunt/abi_types.h>

#include <optional>

#include "userspace/dataplane/plan.h"

namespace shunt {

shunt_address EncodeAddress(const IpAddress& address);
IpAddress DecodeAddress(const shunt_address& address);

__be16 EncodePort(uint16_t port);
uint16_t DecodePort(__be16 port);

// Lines of the VIP table. Those of addresses have protocol 0.
shunt_vip EncodeVip(const VipKey& key, const VipEntry& entry, uint32_t ring_line);
VipKey DecodeVipKey(const shunt_vip& vip);
VipEntry DecodeVip(const shunt_vip& vip);
shunt_vip EncodeAddressEntry(const IpAddress& address, const AddressEntry& entry);

shunt_ring_slot EncodeSlot(const RingSlot& slot);
RingSlot DecodeSlot(const shunt_ring_slot& slot);

shunt_real EncodeReal(const RealEntry& real);
std::optional<RealEntry> DecodeReal(const shunt_real& real);  // unset: there is none

}  // namespace shunt

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

uint16_t DecodePort(__be16 port);

shunt_vip_key EncodeVipKey(const VipKey& key);
VipKey DecodeVipKey(const shunt_vip_key& key);  // not an address entry's

shunt_vip EncodeVip(const VipEntry& entry);
VipEntry DecodeVip(const shunt_vip& vip);

shunt_vip_key EncodeAddressKey(const IpAddress& address);
shunt_vip EncodeAddressEntry(const AddressEntry& entry);

shunt_real EncodeReal(const RealEntry& real);
std::optional<RealEntry> DecodeReal(const shunt_real& real);  // unset: absent

}  // namespace shunt

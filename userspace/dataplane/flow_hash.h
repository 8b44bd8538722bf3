// SPDX-License-Identifier: Apache-2.0
// The flow hash and the slot it leads to, as the program computes them; for the flow table's readers, explain, the
// model and the tests.
#pragma once

#include <cstdint>

#include "userspace/dataplane/plan.h"
#include "userspace/net/endpoint.h"

namespace shunt {

// The secret of one VIP's flow hash: the same on every balancer with the same store key.
FlowHashKey DeriveFlowHashKey(const HashKey& hash_key, const VipKey& vip);

// A flow has one family: that of its source.
uint64_t FlowHash(const FlowHashKey& key, const Endpoint& source, uint16_t destination_port);

// ring_slots > 0.
uint32_t SlotOf(uint64_t flow_hash, uint32_t ring_slots);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Generations of the store as API messages. Pure. Called by service.cc on gRPC's threads. Not here: the rest
// (convert.h).
#pragma once

#include <chrono>
#include <optional>
#include <span>

#include "userspace/control/controller.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {

// 0 seconds: none.
std::optional<std::chrono::seconds> ConfirmWithin(uint32_t seconds);

v1::Unconfirmed ToUnconfirmed(const Unconfirmed& unconfirmed, SteadyTime now);

// The newest `limit` of them; 0: all.
v1::Generations ToGenerations(std::span<const Generation> generations, uint32_t limit, const StoreStatus& store,
                              SteadyTime now);

}  // namespace shunt

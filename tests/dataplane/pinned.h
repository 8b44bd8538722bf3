// SPDX-License-Identifier: Apache-2.0
// Opening a pinned data plane in a sandbox, and something small to install in it. For the tests of pins and of
// attaching.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/dataplane/sandbox.h"
#include "userspace/dataplane/kernel_dataplane.h"

namespace shunt {

inline constexpr Capacities kSmall{.max_vips = 16, .max_reals = 64, .max_flows = 128};

KernelDataplaneOptions Options(const TemporaryBpffs& bpffs, std::vector<std::string> interfaces = {});
std::unique_ptr<KernelDataplane> MustOpen(const KernelDataplaneOptions& options);

// The folders of pins that stand in the bpffs, in order, and the path of the only one.
std::vector<std::string> PinSets(const TemporaryBpffs& bpffs);
std::string PinSet(const TemporaryBpffs& bpffs);

// One VIP, ServedVip(), with id 3 and two reals at entries 9 and 10, the second without a next hop; a ring of five
// slots. Every flow is remembered.
VipKey ServedVip();
Plan ServedPlan();
void Install(Dataplane& dataplane, const Plan& plan = ServedPlan());

// A packet to that VIP, and how many packets had a verdict.
std::vector<uint8_t> ClientFrame();
uint64_t CountOf(Dataplane& dataplane, std::string_view verdict);

}  // namespace shunt

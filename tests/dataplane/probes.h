// SPDX-License-Identifier: Apache-2.0
// What the tests of the probes' tunnel share: a data plane with reals of either family, and which program stands on an
// interface's egress.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/dataplane/plans.h"
#include "tests/dataplane/sandbox.h"
#include "userspace/base/unique_fd.h"
#include "userspace/dataplane/kernel_dataplane.h"

namespace shunt::test {

// Entries of the real table: of IPv4 and of IPv6, both with spread_bits 16; the same again, down; one without next hop,
// one without next hop and down.
enum ProbeEntry : uint32_t { kIpv4Real = 1, kIpv6Real, kIpv4Down, kIpv6Down, kUnresolved, kUnresolvedDown, kNoReal };

RealEntry ProbeReal(ProbeEntry entry, uint32_t egress_ifindex);
// Gone with the object but for what it attaches.
std::unique_ptr<KernelDataplane> OpenForProbes(uint32_t egress_ifindex);

uint32_t IndexOf(const std::string& interface);
void MustOpenTunnel(KernelDataplane& dataplane, const std::string& interface);

// The program at our place of the interface's egress; id 0 and no descriptor if there is none.
struct TcProgram {
  uint32_t id = 0;
  UniqueFd fd;
};
TcProgram ProgramOnEgress(const std::string& interface);

}  // namespace shunt::test

// SPDX-License-Identifier: Apache-2.0
// What the program remembers, read back, and whether the model remembers the same. For tests that use Harness.
#pragma once

#include <vector>

#include "tests/dataplane/harness.h"

namespace shunt::test {

// All entries of the program's flow table, by flow.
std::vector<FlowEntry> FlowEntries(Harness& harness);

Refusals RefusalsOf(Harness& harness, const VipKey& vip);

// Fails unless program and model remember the same flows on the same reals, with the same marks, and refused as
// many.
void CheckSameMemory(Harness& harness);

}  // namespace shunt::test

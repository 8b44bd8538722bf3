// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/probe_mark.h"

#include <shunt/abi_config.h>

namespace shunt {

uint32_t ProbeMark(uint32_t entry) { return SHUNT_PROBE_MARK | (entry & SHUNT_PROBE_ENTRY_MASK); }

}  // namespace shunt

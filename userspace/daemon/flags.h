// SPDX-License-Identifier: Apache-2.0
// The flags of shuntd as one value: only what must be known before the store is read. Called by main, once.
// Not here: what an operator can change while it runs (the store).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "userspace/base/result.h"
#include "userspace/daemon/leaving.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/health/hook.h"
#include "userspace/net/endpoint.h"

namespace shunt {

struct DaemonOptions {
  KernelDataplaneOptions dataplane;
  std::string store;
  uint32_t store_history = 0;  // older generations that are kept
  std::string socket;
  std::optional<Endpoint> metrics_listen;  // unset: no metrics
  uint32_t probe_sockets = 0;              // probes under way at once
  std::optional<HookOptions> event_hook;   // unset: none
  LeaveOptions leave;
  bool detach_on_exit = false;
};

// Help and version are printed and end the process (status 0); what cannot be read as a flag at all ends it with 2.
// Values that make no sense are kInvalid, a line for each.
Result<DaemonOptions> ParseFlags(int argc, char** argv);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The flags of shuntd as one value: only what must be known before the store is read. Called by main, once.
// Not here: what an operator can change while it runs (the store).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/bgp/announcer.h"
#include "userspace/daemon/leaving.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/health/child_process.h"
#include "userspace/health/hook.h"
#include "userspace/net/endpoint.h"
#include "userspace/rpc/server.h"

namespace shunt {

// As whom it runs, and who may do what (flags_access.cc).
struct AccessOptions {
  std::optional<UserIds> user;         // unset: whoever started it
  std::vector<UserIds> program_users;  // empty: everybody
  bool seccomp = true;
  std::set<uid_t> admins;
  std::optional<TlsOptions> tls;  // unset: no TCP
};

struct DaemonOptions {
  KernelDataplaneOptions dataplane;
  std::string store;
  uint32_t store_history = 0;  // older generations that are kept
  std::string socket;
  std::optional<Endpoint> metrics_listen;  // unset: no metrics
  uint32_t probe_sockets = 0;              // probes under way at once
  std::optional<HookOptions> event_hook;   // unset: none
  AnnounceOptions announce;
  LeaveOptions leave;
  bool detach_on_exit = false;
  AccessOptions access;
};

// Help and version are printed and end the process (status 0); what cannot be read as a flag at all ends it with 2.
// Values that make no sense are kInvalid, a line for each.
Result<DaemonOptions> ParseFlags(int argc, char** argv);

// For ParseFlags() alone. `hook`: whose user may run programs, too.
AccessOptions ReadAccessFlags(const std::optional<HookOptions>& hook, std::vector<std::string>& problems);

}  // namespace shunt

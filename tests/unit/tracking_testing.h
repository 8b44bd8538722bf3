// SPDX-License-Identifier: Apache-2.0
// A VIP under load with a clock of its own: planner, writes, sweeper and the in-memory data plane together, and flows
// that know which real they first went to. For tests of what tracking promises; nothing here sleeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace shunt::testing {

enum class Load { kTcp, kUdp, kQuic };

struct WorldOptions {
  Load traffic = Load::kTcp;
  uint32_t seed = 1;
  uint32_t ring_size = 101;
  uint32_t idle_seconds = 20;  // udp_idle_seconds or tcp_settle_seconds
  uint32_t max_flows = 4000;
  uint32_t entries_per_second = UINT32_MAX;
  uint32_t new_flows_per_second = 20;
  uint32_t flood_per_second = 0;  // packets of flows nobody follows, in bursts
  bool begins_with_all = false;   // tracking `all` for the first third
  int seconds = 600;
};

struct WorldResult {
  uint64_t flows = 0;
  uint64_t packets = 0;
  uint64_t refused = 0;
  size_t changes = 0;
  size_t settled = 0;               // slots that changed as time went by, each time
  std::vector<std::string> broken;  // what should not have happened, in order; the first few
};

// A random history; the same for the same options.
WorldResult RunWorld(const WorldOptions& options);

}  // namespace shunt::testing

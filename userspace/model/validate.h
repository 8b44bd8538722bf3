// SPDX-License-Identifier: Apache-2.0
// What cannot be, found before anything is done: all problems of a desired state at once. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "userspace/model/desired_state.h"

namespace shunt {

// What the data plane's maps hold; see abi_limits.h for the defaults.
struct Capacities {
  uint32_t max_vips = 0;
  uint32_t max_reals = 0;  // entries of the real table; a VIP with n reals takes RealCapacity(n)
  uint32_t max_flows = 0;
  bool operator==(const Capacities&) const = default;
};

// Entries a VIP with `reals` reals takes: the next power of two above it (index 0 is never a real), at least 4.
uint32_t RealCapacity(size_t reals);

// One problem: `path` names the place as the store does, e.g. vips["203.0.113.10:443/tcp"].reals["10.0.0.11"].weight.
struct Problem {
  std::string path;
  std::string message;
  std::string ToString() const;  // "path: message"
};

// What is set must be within its range; for this folder's validate_*.cc.
void CheckRange(std::optional<uint32_t> value, uint32_t min, uint32_t max, const std::string& path,
                std::vector<Problem>& problems);

// Empty = valid.
std::vector<Problem> Validate(const DesiredState& state, const Capacities& capacities);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The store: the desired state as a YAML file, read whole, written aside and renamed into place. The schema is
// config.proto; unknown keys are errors with their line. Not here: what is valid (validate.h), older stores
// (store_history.h).
#pragma once

#include <string>

#include "userspace/base/result.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/validate.h"
#include "userspace/model/whole_file.h"

namespace shunt {

inline constexpr size_t kMaxStoreBytes = 64u << 20;

// `name` stands in messages: "lb.yaml:12: …". All problems of form and of meaning (Validate) at once, each with
// its line, as one kInvalid error of several lines.
Result<DesiredState> ParseYaml(const std::string& text, const std::string& name, const Capacities& capacities);
std::string ToYaml(const DesiredState& state);

// kNotFound if there is no such file.
Result<DesiredState> LoadFile(const std::string& path, const Capacities& capacities);

// The same of the store itself, which is a file and no pipe, and what the file was like that was read.
struct LoadedStore {
  DesiredState state;
  FileIdentity identity;
};
Result<LoadedStore> LoadStore(const std::string& path, const Capacities& capacities);

// The new store, beside the old one; a link stays, and what it leads to is replaced.
Result<WholeWrite> PrepareStore(const std::string& path, const DesiredState& state);

// Removes what a process that died while it wrote the store left beside it.
void RemoveStoreLeftovers(const std::string& path);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The store: the desired state as a YAML file, read whole, written aside and renamed into place. The schema is
// config.proto; unknown keys are errors with their line. Not here: what is valid (validate.h).
#pragma once

#include <string>

#include "userspace/base/result.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/validate.h"

namespace shunt {

inline constexpr size_t kMaxStoreBytes = 64u << 20;

// `name` stands in messages: "lb.yaml:12: …". All problems of form and of meaning (Validate) at once, each with
// its line, as one kInvalid error of several lines.
Result<DesiredState> ParseYaml(const std::string& text, const std::string& name, const Capacities& capacities);
std::string ToYaml(const DesiredState& state);

// kNotFound if there is no such file.
Result<DesiredState> LoadFile(const std::string& path, const Capacities& capacities);

// A write in two steps, so that what stands between them can still fail: Prepare() writes and fsyncs a file
// beside the store (mode 0600), Commit() renames it into place and fsyncs the folder. Without Commit() the
// destructor removes the file and the store is as it was.
class StoreWrite {
 public:
  static Result<StoreWrite> Prepare(const std::string& path, const DesiredState& state);
  StoreWrite(StoreWrite&& other) noexcept;
  StoreWrite& operator=(StoreWrite&& other) noexcept;
  ~StoreWrite();
  Status Commit();

 private:
  StoreWrite(std::string path, std::string aside);
  std::string path_;
  std::string aside_;  // empty = nothing left to remove
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Pins: maps kept in a bpffs so that they outlive the process, one folder for a set of them, and the lock that
// keeps two processes from writing the same set. Called by userspace/dataplane and decap.cc; any thread.
#pragma once

#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"
#include "userspace/bpf/object.h"

namespace shunt {

enum class LockKind {
  kRefuse,  // another holder is an error
  kWait,
};

// The folder `<bpffs>/<name>` (0700, made if missing), locked until this goes or the process dies.
class LockedFolder {
 public:
  static Result<LockedFolder> Lock(const std::string& bpffs, const std::string& name, LockKind kind);
  const std::string& path() const { return path_; }
  Result<std::vector<std::string>> List() const;
  Status RemoveIfEmpty();

 private:
  UniqueFd fd_;
  std::string path_;
};

// bpffs refuses dots in names; ':' is what no interface name has.
std::string PinName(std::string name);

bool FolderExists(const std::string& folder);
// The folder and the pins in it; absent is no error.
Status RemoveFolder(const std::string& folder);
Result<BpfMap> OpenPin(const std::string& path);

// Loads the object on the maps pinned in `folder`, which must all be there in the shapes the object wants, or, when
// there is no such folder, on fresh maps that are then pinned there: all of them or none. `remedy` ends the message
// about pins that do not fit.
Status LoadPinned(Object& object, const std::string& folder, const std::string& remedy);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Pins: maps and programs kept in a bpffs so that they outlive the process, one folder for a set of them, and the lock
// that keeps two processes from writing the same set. Not here: what the folders of the balancer mean
// (dataplane/kernel_pins.h). Called by userspace/dataplane and decap.cc; any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"
#include "userspace/bpf/object.h"

namespace shunt {

enum class LockKind {
  kRefuse,  // another holder is an error, unless it ends within a moment
  kWait,
  kNone,  // only open
};

// The folder `<bpffs>/<name>` (0700, made if missing), locked until this goes or the process dies.
class LockedFolder {
 public:
  static Result<LockedFolder> Lock(const std::string& bpffs, const std::string& name, LockKind kind);
  const std::string& path() const { return path_; }  // for messages
  // The same folder for every call here that takes a path, also for a process that may not walk to it any more.
  std::string within() const;
  Result<std::vector<std::string>> List() const;
  Status RemoveIfEmpty();  // one that its process may not remove stays
  // The folder, the folders in it and their pins belong to that user from now on, whose process can still get there by
  // within() where it may not walk the bpffs.
  Status GiveTo(uid_t user, gid_t group) const;

 private:
  UniqueFd fd_;
  std::string path_;
};

// bpffs refuses dots in names; ':' is what no interface name has.
std::string PinName(std::string name);

bool FolderExists(const std::string& folder);
Result<std::vector<std::string>> ListFolder(const std::string& folder);  // in order
// Ends the name of a folder that is being filled or emptied. Whoever finds one may remove it.
inline constexpr char kUnfinishedSet[] = "-new";

// The folder and the pins in it; absent is no error.
Status RemoveFolder(const std::string& folder);
Status RenameFolder(const std::string& from, const std::string& to);  // `to` is not there
Result<BpfMap> OpenPin(const std::string& path);
Result<UniqueFd> OpenPinnedProgram(const std::string& path);
// In place of what is pinned there, if anything, at one instant.
Status Pin(int fd, const std::string& path);

// The maps pinned in `folder` against those that the object wants. kNotFound: one is not there. kInvalid: one is of
// another kind. Both messages name it, and `remedy`.
enum class PinFit {
  kSame,
  kOtherSizes,  // they hold more or fewer entries
};
Result<PinFit> ComparePins(const Object& object, const std::string& folder, const std::string& remedy);

// Loads the object on the maps pinned in `folder`, which must all be there in the shapes the object wants, or, when
// there is no such folder, on fresh maps that are then pinned there: all of them or none. `remedy` ends the message
// about pins that do not fit.
Status LoadPinned(Object& object, const std::string& folder, const std::string& remedy);

}  // namespace shunt

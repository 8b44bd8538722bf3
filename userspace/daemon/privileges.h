// SPDX-License-Identifier: Apache-2.0
// Which rights shuntd has: what it needs to start, what it keeps afterwards, as whom. Called by main, while the process
// has one thread: a capability belongs to a thread, and later ones inherit it. Not here: which system calls it may make
// (system_calls.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/health/child_process.h"

namespace shunt {

// kSystem, naming every capability that a start as this user, if any, needs and this process lacks.
Status CheckCapabilities(const std::optional<UserIds>& user);

// While it lives, files are opened, made and replaced with this user's rights to files, and belong to that user.
class FileRightsOf {
 public:
  explicit FileRightsOf(const std::optional<UserIds>& user);  // none: nothing changes
  FileRightsOf(const FileRightsOf&) = delete;
  FileRightsOf& operator=(const FileRightsOf&) = delete;
  ~FileRightsOf();

 private:
  bool active_ = false;
  std::vector<gid_t> groups_;
};

// A file of root's becomes that user's: a store that root edited. Nothing else does, nor what a link names.
Status GiveFile(const std::string& path, const UserIds& user);

// For good: becomes that user, if any, and keeps CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and, where it has it,
// CAP_NET_RAW. Nothing that it could execute gains more.
Status DropPrivileges(const std::optional<UserIds>& user);

// The same for the process that starts programs as other users: it keeps CAP_SETUID, CAP_SETGID and CAP_KILL.
Status KeepStartingPrograms(const std::optional<UserIds>& user);

}  // namespace shunt

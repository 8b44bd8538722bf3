// SPDX-License-Identifier: Apache-2.0
// Files that are read whole, and written whole or not at all: aside, synced, renamed into place, the folder synced. Any
// thread. Not here: what stands in them (store_file.h, store_history.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/result.h"

namespace shunt {

// Tells whether a file is still the one that was read or written.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size_bytes = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

// Of what the path leads to; nothing if there is no such file.
std::optional<FileIdentity> IdentityOf(const std::string& path);

enum class Accept : uint8_t {
  kAnyFile,      // also a pipe, which is waited for
  kRegularFile,  // behind links too
  kOwnFile,      // a regular file that is no link
};

struct WholeFile {
  std::string text;
  FileIdentity identity;
};

// kNotFound if there is no such file; kInvalid if it is of another kind or longer than `max_bytes`.
Result<WholeFile> ReadWhole(const std::string& path, size_t max_bytes, Accept accept);
// No more than the first `bytes` of a file of our own.
Result<std::string> ReadBeginning(const std::string& path, size_t bytes);

// A write in two steps, so that what stands between them can still fail: Prepare() writes and fsyncs a file beside
// `path` (mode 0600), Commit() renames it into place and fsyncs the folder. Without Commit() the destructor removes the
// file, and what stood at `path` is as it was.
class WholeWrite {
 public:
  static Result<WholeWrite> Prepare(const std::string& path, std::string_view text);
  WholeWrite(WholeWrite&& other) noexcept;
  WholeWrite& operator=(WholeWrite&& other) noexcept;
  ~WholeWrite();
  Status Commit();
  bool replaced() const { return aside_.empty(); }  // the file is the new one, also where Commit() failed after that
  const FileIdentity& identity() const { return identity_; }  // of the file, also after Commit()

 private:
  WholeWrite(std::string path, std::string aside);
  std::string path_;
  std::string aside_;  // empty = nothing left to remove
  FileIdentity identity_;
};

// What was made or renamed in the folder of `path` lasts, also after a crash of the host.
Status SyncFolderOf(const std::string& path);

// Makes the removal of a file last too. No such file: done already.
Status RemoveForGood(const std::string& path);

// Removes what a process that died between Prepare() and Commit() left beside `path`, and nothing else.
void RemoveLeftovers(const std::string& path);

std::string FolderOf(const std::string& path);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/whole_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

constexpr mode_t kMode = 0600;  // a store holds the hash key
constexpr size_t kAsideLetters = 6;

// ".NAME." and six letters, which mkostemp() chooses.
std::string AsidePrefix(const std::string& path) {
  return fmt::format(".{}.", std::filesystem::path(path).filename().string());
}

FileIdentity IdentityFrom(const struct stat& status) {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = status.st_size,
          .modified_ns = status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec};
}

// False: errno says why not.
bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Up to the end, or to the first byte beyond `max_bytes`.
Result<std::string> ReadUpTo(int fd, size_t max_bytes, const std::string& doing) {
  constexpr size_t kStepBytes = 64 << 10;
  std::string text;
  while (text.size() <= max_bytes) {
    const size_t size = text.size();
    const size_t step = std::min(kStepBytes, max_bytes + 1 - size);
    text.resize(size + step);
    const ssize_t count = read(fd, text.data() + size, step);
    const int error = errno;
    text.resize(size + (count > 0 ? static_cast<size_t>(count) : 0));
    if (count < 0 && error == EINTR) continue;
    if (count < 0) return FailErrno(doing, error);
    if (count == 0) break;
  }
  return text;
}

// The descriptor of a file of the kind that is accepted, and what it is.
Result<UniqueFd> Open(const std::string& path, Accept accept, const std::string& doing, struct stat& status) {
  int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY;
  if (accept != Accept::kAnyFile) flags |= O_NONBLOCK;  // a pipe that nobody writes would be waited for
  if (accept == Accept::kOwnFile) flags |= O_NOFOLLOW;
  UniqueFd fd(open(path.c_str(), flags));
  if (!fd.valid() && errno == ENOENT) return Fail(ErrorKind::kNotFound, doing + ": no such file");
  if (!fd.valid() && errno == ELOOP && accept == Accept::kOwnFile) {
    return Fail(ErrorKind::kInvalid, doing + ": a link; expected a file");
  }
  if (!fd.valid() && errno == EACCES) {
    return Fail(ErrorKind::kSystem, doing + ": Permission denied; shuntd must be able to read it (chown, chmod)");
  }
  if (!fd.valid()) return FailErrno(doing, errno);
  if (fstat(fd.get(), &status) != 0) return FailErrno(doing, errno);
  if (S_ISDIR(status.st_mode)) return Fail(ErrorKind::kInvalid, doing + ": a folder; expected a file");
  if (accept != Accept::kAnyFile && !S_ISREG(status.st_mode)) {
    return Fail(ErrorKind::kInvalid, doing + ": a pipe, socket or device; expected a file");
  }
  return fd;
}

// What to do about an error of writing a file of a folder.
std::string_view RemedyOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return "; make the folder, or name another store";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; the folder must be writable, for the store is replaced as a whole";
    case ENOSPC:
    case EDQUOT:
      return "; make room there, what stood there is as it was";
    default:
      return "";
  }
}

std::unexpected<Error> FailWrite(const std::string& doing, int error_number) {
  Error error = FailErrno(doing, error_number).error();
  error.message += RemedyOf(error_number);
  return std::unexpected(std::move(error));
}

}  // namespace

std::string FolderOf(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

Status SyncFolderOf(const std::string& path) {
  const std::string folder = FolderOf(path);
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return FailErrno(fmt::format("syncing the folder {}", folder), errno);
  return {};
}

std::optional<FileIdentity> IdentityOf(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return IdentityFrom(status);
}

Result<WholeFile> ReadWhole(const std::string& path, size_t max_bytes, Accept accept) {
  const std::string doing = fmt::format("reading {}", path);
  struct stat status{};
  const auto fd = Open(path, accept, doing, status);
  if (!fd) return std::unexpected(fd.error());
  auto text = ReadUpTo(fd->get(), max_bytes, doing);
  if (!text) return std::unexpected(text.error());
  if (text->size() > max_bytes) {
    return Fail(ErrorKind::kInvalid, fmt::format("{}: too large; expected at most {} bytes", doing, max_bytes));
  }
  return WholeFile{.text = *std::move(text), .identity = IdentityFrom(status)};
}

Result<std::string> ReadBeginning(const std::string& path, size_t bytes) {
  const std::string doing = fmt::format("reading {}", path);
  struct stat status{};
  const auto fd = Open(path, Accept::kOwnFile, doing, status);
  if (!fd) return std::unexpected(fd.error());
  return ReadUpTo(fd->get(), bytes, doing);
}

Result<WholeWrite> WholeWrite::Prepare(const std::string& path, std::string_view text) {
  const std::string doing = fmt::format("writing {}", path);
  const std::string folder = FolderOf(path);
  std::string aside = fmt::format("{}/{}{}", folder, AsidePrefix(path), std::string(kAsideLetters, 'X'));
  const UniqueFd fd(mkostemp(aside.data(), O_CLOEXEC));
  if (!fd.valid()) return FailWrite(fmt::format("{}: making a file in {}", doing, folder), errno);
  WholeWrite prepared(path, std::move(aside));
  if (fchmod(fd.get(), kMode) != 0) return FailWrite(doing, errno);
  if (!WriteAll(fd.get(), text) || fsync(fd.get()) != 0) return FailWrite(doing, errno);
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) return FailErrno(doing, errno);
  prepared.identity_ = IdentityFrom(status);
  return prepared;
}

WholeWrite::WholeWrite(std::string path, std::string aside) : path_(std::move(path)), aside_(std::move(aside)) {}

WholeWrite::WholeWrite(WholeWrite&& other) noexcept
    : path_(std::move(other.path_)), aside_(std::exchange(other.aside_, {})), identity_(other.identity_) {}

WholeWrite& WholeWrite::operator=(WholeWrite&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(aside_, other.aside_);
  std::swap(identity_, other.identity_);
  return *this;
}

WholeWrite::~WholeWrite() {
  if (!aside_.empty()) unlink(aside_.c_str());
}

Status WholeWrite::Commit() {
  const std::string doing = fmt::format("writing {}", path_);
  if (aside_.empty()) return Fail(ErrorKind::kInvalid, doing + ": nothing is prepared, or it was written already");
  if (rename(aside_.c_str(), path_.c_str()) != 0) return FailWrite(doing, errno);
  aside_.clear();
  if (auto synced = SyncFolderOf(path_); !synced) return Context(doing + ": replaced, but", synced.error());
  return {};
}

Status RemoveForGood(const std::string& path) {
  const std::string doing = fmt::format("removing {}", path);
  if (unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return FailErrno(doing, errno);
  }
  if (auto synced = SyncFolderOf(path); !synced) return Context(doing + ": removed, but", synced.error());
  return {};
}

void RemoveLeftovers(const std::string& path) {
  const std::string prefix = AsidePrefix(path);
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(FolderOf(path), ignored), end; entry != end;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    const bool is_ours =
        name.size() == prefix.size() + kAsideLetters && name.starts_with(prefix) &&
        std::ranges::all_of(name.substr(prefix.size()), [](unsigned char c) { return std::isalnum(c); });
    if (is_ours && entry->symlink_status(ignored).type() == std::filesystem::file_type::regular) {
      unlink(entry->path().c_str());
    }
  }
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The store as a file: read whole, written aside and renamed into place. Not here: its text (store_yaml.cc).
#include "userspace/model/store_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

constexpr mode_t kStoreMode = 0600;  // it holds the hash key
constexpr int kMaxLinks = 40;        // as many as the kernel follows

// A symlink is followed, so that what it names is replaced and the link stays. The target need not exist yet.
Result<std::string> FollowLinks(const std::string& path) {
  std::filesystem::path target = path;
  for (int i = 0; i < kMaxLinks; ++i) {
    std::error_code error;
    if (!std::filesystem::is_symlink(target, error)) return target.string();
    const auto next = std::filesystem::read_symlink(target, error);
    if (error) return FailErrno(fmt::format("following the link {}", target.string()), error.value());
    target = target.parent_path() / next;  // an absolute `next` replaces the whole path
  }
  return FailErrno(fmt::format("following the link {}", path), ELOOP);
}

std::string FolderOf(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

Status WriteAll(int fd, std::string_view text, const std::string& doing) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FailErrno(doing, errno);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<std::string> ReadAll(int fd, const std::string& doing) {
  constexpr size_t kStepBytes = 64 << 10;
  std::string text;
  for (;;) {
    const size_t size = text.size();
    text.resize(size + kStepBytes);
    const ssize_t count = read(fd, text.data() + size, kStepBytes);
    const int error = errno;
    text.resize(size + (count > 0 ? static_cast<size_t>(count) : 0));
    if (count < 0 && error == EINTR) continue;
    if (count < 0) return FailErrno(doing, error);
    if (count == 0) return text;
    if (text.size() > kMaxStoreBytes) {
      return Fail(ErrorKind::kInvalid, fmt::format("{}: too large; expected at most {} bytes", doing, kMaxStoreBytes));
    }
  }
}

// What to do about an error of making a file in the store's folder.
std::string_view FolderRemedy(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return "; make the folder, or name another store";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; the folder must be writable, for the store is replaced as a whole";
    default:
      return "";
  }
}

}  // namespace

Result<DesiredState> LoadFile(const std::string& path, const Capacities& capacities) {
  const std::string doing = fmt::format("reading {}", path);
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return Fail(ErrorKind::kNotFound, doing + ": no such file");
  if (!fd.valid()) return FailErrno(doing, errno);
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) return FailErrno(doing, errno);
  if (S_ISDIR(status.st_mode)) return Fail(ErrorKind::kInvalid, doing + ": a folder; expected a file");
  const auto text = ReadAll(fd.get(), doing);
  if (!text) return std::unexpected(text.error());
  return ParseYaml(*text, path, capacities);
}

Result<StoreWrite> StoreWrite::Prepare(const std::string& path, const DesiredState& state) {
  const std::string doing = fmt::format("writing {}", path);
  const auto target = FollowLinks(path);
  if (!target) return Context(doing, target.error());
  std::error_code ignored;
  if (std::filesystem::is_directory(*target, ignored)) {
    return Fail(ErrorKind::kInvalid, doing + ": a folder; expected a file");
  }
  const std::string text = ToYaml(state);
  if (text.size() > kMaxStoreBytes) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: too large; expected at most {} bytes, not {}", doing, kMaxStoreBytes, text.size()));
  }
  const std::string folder = FolderOf(*target);
  std::string aside = fmt::format("{}/.{}.XXXXXX", folder, std::filesystem::path(*target).filename().string());
  const UniqueFd fd(mkostemp(aside.data(), O_CLOEXEC));
  if (!fd.valid()) {
    const int error_number = errno;
    Error error = FailErrno(fmt::format("{}: making a file in {}", doing, folder), error_number).error();
    error.message += FolderRemedy(error_number);
    return std::unexpected(std::move(error));
  }
  StoreWrite write(*target, std::move(aside));
  if (fchmod(fd.get(), kStoreMode) != 0) return FailErrno(doing, errno);
  if (auto status = WriteAll(fd.get(), text, doing); !status) return std::unexpected(status.error());
  if (fsync(fd.get()) != 0) return FailErrno(doing, errno);
  return write;
}

StoreWrite::StoreWrite(std::string path, std::string aside) : path_(std::move(path)), aside_(std::move(aside)) {}

StoreWrite::StoreWrite(StoreWrite&& other) noexcept
    : path_(std::move(other.path_)), aside_(std::exchange(other.aside_, {})) {}

StoreWrite& StoreWrite::operator=(StoreWrite&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(aside_, other.aside_);
  return *this;
}

StoreWrite::~StoreWrite() {
  if (!aside_.empty()) unlink(aside_.c_str());
}

Status StoreWrite::Commit() {
  const std::string doing = fmt::format("writing {}", path_);
  if (aside_.empty()) return Fail(ErrorKind::kInvalid, doing + ": nothing is prepared, or it was written already");
  if (rename(aside_.c_str(), path_.c_str()) != 0) return FailErrno(doing, errno);
  aside_.clear();
  const std::string folder = FolderOf(path_);
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) {
    return FailErrno(fmt::format("{}: replaced, but syncing the folder {}", doing, folder), errno);
  }
  return {};
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace shunt {
namespace {

constexpr mode_t kOwnerOnly = 0700;

Status CheckBpffs(const std::string& bpffs) {
  struct statfs info{};
  const bool there = statfs(bpffs.c_str(), &info) == 0;
  if (there && info.f_type == BPF_FS_MAGIC) return {};
  const std::string mount = fmt::format("mount it with `mount -t bpf bpf {}`", bpffs);
  if (!there && errno == ENOENT)
    return Fail(ErrorKind::kSystem,
                fmt::format("opening bpffs {}: there is no such folder; make it and {}", bpffs, mount));
  if (!there) return FailErrno("opening bpffs " + bpffs, errno);
  return Fail(ErrorKind::kSystem, fmt::format("opening bpffs {}: it is not a bpffs; {}", bpffs, mount));
}

Result<std::vector<std::string>> ListFolder(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (!folder) return FailErrno("listing " + path, errno);
  std::vector<std::string> names;
  for (const dirent* entry = readdir(folder.get()); entry; entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

// Empty if the pinned map is what the object wants.
std::string Difference(const MapShape& pinned, const MapShape& wanted) {
  if (pinned.type != wanted.type) {
    const auto text = [](uint32_t type) { return libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type)); };
    const char *is = text(pinned.type), *should = text(wanted.type);
    return fmt::format("its type is {}, wanted {}", is ? is : "unknown", should ? should : "unknown");
  }
  if (pinned.key_bytes != wanted.key_bytes)
    return fmt::format("its keys have {} bytes, wanted {}", pinned.key_bytes, wanted.key_bytes);
  if (pinned.value_bytes != wanted.value_bytes)
    return fmt::format("its values have {} bytes, wanted {}", pinned.value_bytes, wanted.value_bytes);
  if (pinned.max_entries != wanted.max_entries)
    return fmt::format("it holds {} entries, wanted {}", pinned.max_entries, wanted.max_entries);
  if (pinned.flags != wanted.flags) return fmt::format("its flags are {:#x}, wanted {:#x}", pinned.flags, wanted.flags);
  return {};
}

Status UsePinned(Object& object, const std::string& folder, const std::string& remedy) {
  for (const std::string& name : object.MapNames()) {
    const std::string path = folder + "/" + PinName(name);
    const std::string doing = fmt::format("taking over map {} pinned in {}", name, folder);
    auto wanted = object.Shape(name);
    if (!wanted) return std::unexpected(wanted.error());
    auto pinned = OpenPin(path);
    if (!pinned && pinned.error().kind == ErrorKind::kNotFound)
      return Fail(ErrorKind::kSystem, fmt::format("{}: it is not there; {}", doing, remedy));
    if (!pinned) return std::unexpected(pinned.error());
    const std::string difference = Difference(pinned->shape(), *wanted);
    if (!difference.empty()) return Fail(ErrorKind::kSystem, fmt::format("{}: {}; {}", doing, difference, remedy));
    if (auto used = object.UseMap(name, *pinned); !used) return used;
  }
  return {};
}

// Built aside and renamed into place, so that a process that dies half way leaves no half set.
Status PinAll(const Object& object, const std::string& folder) {
  const std::string aside = folder + "-new";
  if (auto removed = RemoveFolder(aside); !removed) return removed;
  if (mkdir(aside.c_str(), kOwnerOnly) != 0) return FailErrno("making folder " + aside, errno);
  for (const std::string& name : object.MapNames()) {
    auto map = object.Map(name);
    if (!map) return std::unexpected(map.error());
    const std::string path = aside + "/" + PinName(name);
    if (bpf_obj_pin(map->fd(), path.c_str()) != 0) return FailErrno("pinning map " + path, errno);
  }
  if (rename(aside.c_str(), folder.c_str()) != 0) return FailErrno("renaming " + aside + " to " + folder, errno);
  return {};
}

}  // namespace

Result<LockedFolder> LockedFolder::Lock(const std::string& bpffs, const std::string& name, LockKind kind) {
  if (auto usable = CheckBpffs(bpffs); !usable) return std::unexpected(usable.error());
  const std::string path = bpffs + "/" + name;
  // The holder before us may remove the folder as it goes; then what we locked is no longer what stands there.
  for (;;) {
    if (mkdir(path.c_str(), kOwnerOnly) != 0 && errno != EEXIST) return FailErrno("making folder " + path, errno);
    LockedFolder folder;
    folder.path_ = path;
    folder.fd_ = UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.fd_.valid() && errno == ENOENT) continue;
    if (!folder.fd_.valid()) return FailErrno("opening folder " + path, errno);
    if (flock(folder.fd_.get(), kind == LockKind::kWait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return FailErrno("locking " + path, errno);
      return Fail(
          ErrorKind::kExists,
          fmt::format("locking {}: another process uses it; stop that one, or give this one a bpffs of its own", path));
    }
    struct stat locked{}, standing{};
    if (fstat(folder.fd_.get(), &locked) != 0) return FailErrno("locking " + path, errno);
    if (stat(path.c_str(), &standing) == 0 && locked.st_ino == standing.st_ino && locked.st_dev == standing.st_dev)
      return folder;
  }
}

Result<std::vector<std::string>> LockedFolder::List() const { return ListFolder(path_); }

Status LockedFolder::RemoveIfEmpty() {
  if (rmdir(path_.c_str()) == 0 || errno == ENOTEMPTY || errno == ENOENT) return {};
  return FailErrno("removing folder " + path_, errno);
}

std::string PinName(std::string name) {
  std::ranges::replace(name, '.', ':');
  return name;
}

bool FolderExists(const std::string& folder) {
  struct stat info{};
  return stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Status RemoveFolder(const std::string& folder) {
  if (!FolderExists(folder)) return {};
  auto names = ListFolder(folder);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const std::string path = folder + "/" + name;
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno("removing pin " + path, errno);
  }
  if (rmdir(folder.c_str()) != 0 && errno != ENOENT) return FailErrno("removing folder " + folder, errno);
  return {};
}

Result<BpfMap> OpenPin(const std::string& path) {
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (fd.valid()) return BpfMap::FromFd(std::move(fd));
  if (errno == ENOENT) return Fail(ErrorKind::kNotFound, fmt::format("opening pin {}: there is none", path));
  return FailErrno("opening pin " + path, errno);
}

Status LoadPinned(Object& object, const std::string& folder, const std::string& remedy) {
  const bool there = FolderExists(folder);
  if (there) {
    if (auto used = UsePinned(object, folder, remedy); !used) return used;
  }
  if (auto loaded = object.Load(); !loaded) return loaded;
  return there ? Status() : PinAll(object, folder);
}

}  // namespace shunt

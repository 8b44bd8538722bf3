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
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <thread>

namespace shunt {
namespace {

constexpr mode_t kOwnerOnly = 0700;
constexpr std::string_view kDescriptors = "/proc/self/fd/";

// A process that was killed holds its lock until all it had open is closed, thousands of sockets of probes perhaps.
constexpr std::chrono::milliseconds kHolderMayEnd{1500};
constexpr std::chrono::milliseconds kLockPause{20};

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

// What a person calls a path that begins with a descriptor of ours.
std::string Shown(const std::string& path) {
  if (!path.starts_with(kDescriptors)) return path;
  const size_t end = std::min(path.find('/', kDescriptors.size()), path.size());
  std::error_code error;
  const auto folder = std::filesystem::read_symlink(path.substr(0, end), error);
  return error ? path : folder.string() + path.substr(end);
}

// Empty if the pinned map is of the kind that the object wants.
std::string OtherKind(const MapShape& pinned, const MapShape& wanted) {
  if (pinned.type != wanted.type) {
    const auto text = [](uint32_t type) { return libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type)); };
    const char *is = text(pinned.type), *should = text(wanted.type);
    return fmt::format("its type is {}, wanted {}", is ? is : "unknown", should ? should : "unknown");
  }
  if (pinned.key_bytes != wanted.key_bytes)
    return fmt::format("its keys have {} bytes, wanted {}", pinned.key_bytes, wanted.key_bytes);
  if (pinned.value_bytes != wanted.value_bytes)
    return fmt::format("its values have {} bytes, wanted {}", pinned.value_bytes, wanted.value_bytes);
  if (pinned.flags != wanted.flags) return fmt::format("its flags are {:#x}, wanted {:#x}", pinned.flags, wanted.flags);
  return {};
}

std::string MapPath(const std::string& folder, const std::string& name) { return folder + "/" + PinName(name); }

// The pinned map and whether it holds as many entries as are wanted.
Result<PinFit> ComparePin(const Object& object, const std::string& name, const std::string& folder,
                          const std::string& remedy) {
  const std::string doing = fmt::format("taking over map {} pinned in {}", name, Shown(folder));
  auto wanted = object.Shape(name);
  if (!wanted) return std::unexpected(wanted.error());
  auto pinned = OpenPin(MapPath(folder, name));
  if (!pinned && pinned.error().kind == ErrorKind::kNotFound)
    return Fail(ErrorKind::kNotFound, fmt::format("{}: it is not there; {}", doing, remedy));
  if (!pinned) return std::unexpected(pinned.error());
  const std::string difference = OtherKind(pinned->shape(), *wanted);
  if (!difference.empty()) return Fail(ErrorKind::kInvalid, fmt::format("{}: {}; {}", doing, difference, remedy));
  return pinned->shape().max_entries == wanted->max_entries ? PinFit::kSame : PinFit::kOtherSizes;
}

Status UsePinned(Object& object, const std::string& folder) {
  for (const std::string& name : object.MapNames()) {
    auto pinned = OpenPin(MapPath(folder, name));
    if (!pinned) return std::unexpected(pinned.error());
    if (auto used = object.UseMap(name, *pinned); !used) return used;
  }
  return {};
}

Result<UniqueFd> OpenPinned(const std::string& path) {
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (fd.valid()) return fd;
  if (errno == ENOENT) return Fail(ErrorKind::kNotFound, fmt::format("opening pin {}: there is none", Shown(path)));
  return FailErrno("opening pin " + Shown(path), errno);
}

Status PinAt(int fd, const std::string& path) {
  if (bpf_obj_pin(fd, path.c_str()) != 0) return FailErrno("pinning " + Shown(path), errno);
  return {};
}

// Built aside and renamed into place, so that a process that dies half way leaves no half set.
Status PinAll(const Object& object, const std::string& folder) {
  const std::string aside = folder + kUnfinishedSet;
  if (auto removed = RemoveFolder(aside); !removed) return removed;
  if (mkdir(aside.c_str(), kOwnerOnly) != 0) return FailErrno("making folder " + Shown(aside), errno);
  for (const std::string& name : object.MapNames()) {
    auto map = object.Map(name);
    if (!map) return std::unexpected(map.error());
    if (auto pinned = PinAt(map->fd(), MapPath(aside, name)); !pinned) return pinned;
  }
  return RenameFolder(aside, folder);
}

}  // namespace

Result<std::vector<std::string>> ListFolder(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (!folder) return FailErrno("listing " + Shown(path), errno);
  std::vector<std::string> names;
  for (const dirent* entry = readdir(folder.get()); entry; entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

Result<LockedFolder> LockedFolder::Lock(const std::string& bpffs, const std::string& name, LockKind kind) {
  if (auto usable = CheckBpffs(bpffs); !usable) return std::unexpected(usable.error());
  const std::string path = bpffs + "/" + name;
  const auto refuse_at = std::chrono::steady_clock::now() + kHolderMayEnd;
  // The holder before us may remove the folder as it goes; then what we locked is no longer what stands there.
  for (;;) {
    if (mkdir(path.c_str(), kOwnerOnly) != 0 && errno != EEXIST) return FailErrno("making folder " + path, errno);
    LockedFolder folder;
    folder.path_ = path;
    folder.fd_ = UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.fd_.valid() && errno == ENOENT) continue;
    if (!folder.fd_.valid()) return FailErrno("opening folder " + path, errno);
    if (kind == LockKind::kNone) return folder;
    if (flock(folder.fd_.get(), kind == LockKind::kWait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return FailErrno("locking " + path, errno);
      if (std::chrono::steady_clock::now() < refuse_at) {
        std::this_thread::sleep_for(kLockPause);
        continue;
      }
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

Result<std::vector<std::string>> LockedFolder::List() const { return ListFolder(within()); }

std::string LockedFolder::within() const { return fmt::format("{}{}", kDescriptors, fd_.get()); }

Status LockedFolder::RemoveIfEmpty() {
  if (rmdir(path_.c_str()) == 0 || errno == ENOTEMPTY || errno == ENOENT || errno == EACCES || errno == EBUSY)
    return {};
  return FailErrno("removing folder " + path_, errno);
}

Status LockedFolder::GiveTo(uid_t user, gid_t group) const {
  std::error_code error;
  if (fchown(fd_.get(), user, group) != 0) return FailErrno("giving away folder " + path_, errno);
  for (std::filesystem::recursive_directory_iterator entry(path_, error), end; !error && entry != end;
       entry.increment(error))
    if (lchown(entry->path().c_str(), user, group) != 0)
      return FailErrno("giving away pin " + entry->path().string(), errno);
  if (error) return FailErrno("giving away the pins in " + path_, error.value());
  return {};
}

std::string PinName(std::string name) {
  std::ranges::replace(name, '.', ':');
  return name;
}

bool FolderExists(const std::string& folder) {
  struct stat info{};
  return stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Interrupted, it leaves an unfinished set, and nothing that would be taken over.
Status RemoveFolder(const std::string& folder) {
  if (!FolderExists(folder)) return {};
  const std::string aside = folder.ends_with(kUnfinishedSet) ? folder : folder + kUnfinishedSet;
  if (aside != folder) {
    if (auto removed = RemoveFolder(aside); !removed) return removed;
    if (auto renamed = RenameFolder(folder, aside); !renamed) return renamed;
  }
  auto names = ListFolder(aside);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const std::string path = aside + "/" + name;
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno("removing pin " + Shown(path), errno);
  }
  if (rmdir(aside.c_str()) != 0 && errno != ENOENT) return FailErrno("removing folder " + Shown(aside), errno);
  return {};
}

Status RenameFolder(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  return FailErrno(fmt::format("renaming {} to {}", Shown(from), Shown(to)), errno);
}

Result<BpfMap> OpenPin(const std::string& path) {
  auto fd = OpenPinned(path);
  if (!fd) return std::unexpected(fd.error());
  return BpfMap::FromFd(std::move(*fd));
}

Result<UniqueFd> OpenPinnedProgram(const std::string& path) { return OpenPinned(path); }

Status Pin(int fd, const std::string& path) {
  const std::string aside = path + "-new";
  if (unlink(aside.c_str()) != 0 && errno != ENOENT) return FailErrno("removing pin " + Shown(aside), errno);
  if (auto pinned = PinAt(fd, aside); !pinned) return pinned;
  if (rename(aside.c_str(), path.c_str()) == 0) return {};
  const int error = errno;
  unlink(aside.c_str());
  return FailErrno("pinning " + Shown(path), error);
}

Result<PinFit> ComparePins(const Object& object, const std::string& folder, const std::string& remedy) {
  PinFit fit = PinFit::kSame;
  for (const std::string& name : object.MapNames()) {
    auto one = ComparePin(object, name, folder, remedy);
    if (!one) return one;
    if (*one != PinFit::kSame) fit = *one;
  }
  return fit;
}

Status LoadPinned(Object& object, const std::string& folder, const std::string& remedy) {
  const bool there = FolderExists(folder);
  if (there) {
    auto fit = ComparePins(object, folder, remedy);
    if (!fit) return std::unexpected(fit.error());
    if (*fit != PinFit::kSame)
      return Fail(ErrorKind::kSystem,
                  fmt::format("taking over the maps pinned in {}: they hold more or fewer entries than wanted; {}",
                              Shown(folder), remedy));
    if (auto used = UsePinned(object, folder); !used) return used;
  }
  if (auto loaded = object.Load(); !loaded) return loaded;
  return there ? Status() : PinAll(object, folder);
}

}  // namespace shunt

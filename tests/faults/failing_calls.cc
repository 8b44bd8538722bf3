// SPDX-License-Identifier: Apache-2.0
// A library for LD_PRELOAD that counts the system calls with which a process writes, and lets one of them fail. What it
// is to do stands in a small file that it shares with the driver (session.py, which has the same layout), so one
// running shuntd meets hundreds of faults. Not here: which calls, in which order, and what must hold then.
//
// A call that fails has not been made. Writes to sockets, pipes and standard error are not counted.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

// The same names in the same order as KINDS in session.py.
enum Kind : uint32_t { kBpf, kWrite, kSync, kRename, kLink, kUnlink, kFolder, kCreate, kResize, kMode, kMap, kNetlink };
constexpr uint32_t kKinds = 16;
constexpr uint32_t kNone = 0xffffffff;
constexpr uint32_t kDescription = 120;

struct Shared {
  std::atomic<uint32_t> armed;     // kind of call that is to fail, or kNone
  std::atomic<int32_t> countdown;  // 1: the next one
  std::atomic<int32_t> error;      // errno it fails with
  std::atomic<uint32_t> lasting;   // 1: so do all of that kind after it
  std::atomic<uint32_t> fired;     // how many have failed
  std::atomic<uint32_t> reserved;
  std::atomic<uint32_t> hits[kKinds];
  char what[kDescription];  // the first that failed
};
static_assert(sizeof(Shared) == 24 + 4 * kKinds + kDescription);

template <class Function>
Function* Next(Function* /*type*/, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
#define NEXT(name)                                  \
  ([] {                                             \
    static auto* const next = Next(&::name, #name); \
    return next;                                    \
  }())

Shared* Open() {
  const char* path = getenv("SHUNT_FAULTS");
  if (path == nullptr) return nullptr;
  const long fd = NEXT(syscall)(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* memory = NEXT(mmap)(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
  close(static_cast<int>(fd));
  return memory == MAP_FAILED ? nullptr : static_cast<Shared*>(memory);
}

// Counts a call; true: it is the one to fail, errno is set.
bool Fails(Kind kind, const char* call, const char* object) {
  static Shared* const shared = Open();
  if (shared == nullptr) return false;
  ++shared->hits[kind];
  if (shared->armed != kind) return false;
  const int32_t left = --shared->countdown;
  if (left > 0 || (left < 0 && shared->lasting == 0)) return false;
  if (shared->fired++ == 0) snprintf(shared->what, kDescription, "%s %s", call, object);
  errno = shared->error;
  return true;
}

bool Fails(Kind kind, const char* call, long number) {
  char text[24];
  snprintf(text, sizeof(text), "%ld", number);
  return Fails(kind, call, text);
}

// libbpf finds out what the kernel can do by loading programs of a few instructions and making maps for them. Where
// that fails, it takes the kernel for one that cannot, and what it says then is about something else.
constexpr uint32_t kMostInstructionsOfQuestion = 16;  // programs of ours have hundreds

bool Asks(long command, const bpf_attr& attribute) {
  if (command == BPF_PROG_LOAD) return attribute.insn_cnt <= kMostInstructionsOfQuestion;
  return command == BPF_MAP_CREATE && strncmp(attribute.map_name, "libbpf_", 7) == 0;
}

// What reads is not counted.
bool Writes(long command, const bpf_attr& attribute) {
  if (Asks(command, attribute)) return false;
  switch (command) {
    case BPF_MAP_LOOKUP_ELEM:
    case BPF_MAP_LOOKUP_BATCH:
    case BPF_MAP_GET_NEXT_KEY:
    case BPF_OBJ_GET:
    case BPF_PROG_GET_NEXT_ID:
    case BPF_MAP_GET_NEXT_ID:
    case BPF_LINK_GET_NEXT_ID:
    case BPF_BTF_GET_NEXT_ID:
    case BPF_PROG_GET_FD_BY_ID:
    case BPF_MAP_GET_FD_BY_ID:
    case BPF_LINK_GET_FD_BY_ID:
    case BPF_BTF_GET_FD_BY_ID:
    case BPF_OBJ_GET_INFO_BY_FD:
    case BPF_PROG_QUERY:
      return false;
    default:
      return true;
  }
}

bool IsFile(int fd) {
  struct stat status{};
  return fd != STDERR_FILENO && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool IsNetlink(int fd) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  const int before = errno;
  const bool asked = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0;
  errno = before;
  return asked && domain == AF_NETLINK;
}

bool IsBpfMap(int fd) {
  char link[40];
  char name[40];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, name, sizeof(name) - 1);
  name[size < 0 ? 0 : size] = 0;
  return strstr(name, "bpf-map") != nullptr;
}

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

long syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  long word[6];
  for (long& one : word) one = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_bpf && Writes(word[0], *reinterpret_cast<const bpf_attr*>(word[1])) && Fails(kBpf, "bpf", word[0]))
    return -1;
  return NEXT(syscall)(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}

ssize_t write(int fd, const void* data, size_t size) {
  if (IsFile(fd) && Fails(kWrite, "write", fd)) return -1;
  return NEXT(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  if (IsFile(fd) && Fails(kWrite, "pwrite", fd)) return -1;
  return NEXT(pwrite)(fd, data, size, offset);
}

ssize_t writev(int fd, const iovec* parts, int count) {
  if (IsFile(fd) && Fails(kWrite, "writev", fd)) return -1;
  return NEXT(writev)(fd, parts, count);
}

int fsync(int fd) { return Fails(kSync, "fsync", fd) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return Fails(kSync, "fdatasync", fd) ? -1 : NEXT(fdatasync)(fd); }

int rename(const char* from, const char* to) noexcept {
  return Fails(kRename, "rename", from) ? -1 : NEXT(rename)(from, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return Fails(kRename, "renameat", from) ? -1 : NEXT(renameat)(from_folder, from, to_folder, to);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  return Fails(kRename, "renameat2", from) ? -1 : NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}

int link(const char* from, const char* to) noexcept { return Fails(kLink, "link", from) ? -1 : NEXT(link)(from, to); }
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return Fails(kLink, "linkat", from) ? -1 : NEXT(linkat)(from_folder, from, to_folder, to, flags);
}
int symlink(const char* target, const char* path) noexcept {
  return Fails(kLink, "symlink", path) ? -1 : NEXT(symlink)(target, path);
}

int unlink(const char* path) noexcept { return Fails(kUnlink, "unlink", path) ? -1 : NEXT(unlink)(path); }
int unlinkat(int folder, const char* path, int flags) noexcept {
  return Fails(kUnlink, "unlinkat", path) ? -1 : NEXT(unlinkat)(folder, path, flags);
}
int rmdir(const char* path) noexcept { return Fails(kUnlink, "rmdir", path) ? -1 : NEXT(rmdir)(path); }

int mkdir(const char* path, mode_t mode) noexcept {
  return Fails(kFolder, "mkdir", path) ? -1 : NEXT(mkdir)(path, mode);
}
int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  return Fails(kFolder, "mkdirat", path) ? -1 : NEXT(mkdirat)(folder, path, mode);
}

int mkstemp(char* path) { return Fails(kCreate, "mkstemp", path) ? -1 : NEXT(mkstemp)(path); }
int mkostemp(char* path, int flags) { return Fails(kCreate, "mkostemp", path) ? -1 : NEXT(mkostemp)(path, flags); }

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  if ((flags & O_CREAT) != 0 && Fails(kCreate, "open", path)) return -1;
  return NEXT(open)(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  if ((flags & O_CREAT) != 0 && Fails(kCreate, "openat", path)) return -1;
  return NEXT(openat)(folder, path, flags, mode);
}

int ftruncate(int fd, off_t size) noexcept { return Fails(kResize, "ftruncate", fd) ? -1 : NEXT(ftruncate)(fd, size); }

int chmod(const char* path, mode_t mode) noexcept { return Fails(kMode, "chmod", path) ? -1 : NEXT(chmod)(path, mode); }
int fchmod(int fd, mode_t mode) noexcept { return Fails(kMode, "fchmod", fd) ? -1 : NEXT(fchmod)(fd, mode); }
int chown(const char* path, uid_t user, gid_t group) noexcept {
  return Fails(kMode, "chown", path) ? -1 : NEXT(chown)(path, user, group);
}
int fchown(int fd, uid_t user, gid_t group) noexcept {
  return Fails(kMode, "fchown", fd) ? -1 : NEXT(fchown)(fd, user, group);
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (fd >= 0 && (flags & MAP_SHARED) != 0 && IsBpfMap(fd) && Fails(kMap, "mmap", fd)) return MAP_FAILED;
  return NEXT(mmap)(address, size, protection, flags, fd, offset);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  if (IsNetlink(fd) && Fails(kNetlink, "send", fd)) return -1;
  return NEXT(send)(fd, data, size, flags);
}

ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* to, socklen_t to_size) {
  if (IsNetlink(fd) && Fails(kNetlink, "sendto", fd)) return -1;
  return NEXT(sendto)(fd, data, size, flags, to, to_size);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (IsNetlink(fd) && Fails(kNetlink, "sendmsg", fd)) return -1;
  return NEXT(sendmsg)(fd, message, flags);
}

// The same functions by the names that a build for large files gives them.
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return open(path, flags, mode);
}
int mkostemp64(char* path, int flags) { return mkostemp(path, flags); }
int mkstemp64(char* path) { return mkstemp(path); }
int ftruncate64(int fd, off64_t size) noexcept { return ftruncate(fd, size); }
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) { return pwrite(fd, data, size, offset); }
void* mmap64(void* address, size_t size, int protection, int flags, int fd, off64_t offset) noexcept {
  return mmap(address, size, protection, flags, fd, offset);
}

}  // extern "C"

// SPDX-License-Identifier: Apache-2.0
#include "userspace/daemon/system_calls.h"

#include <fmt/format.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <span>

namespace shunt {
namespace {

// By what they are for. Names that an architecture does not have are left out.
constexpr std::array kAllowed{
    // memory
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "mincore",
    "msync",
    "membarrier",
    "memfd_create",
    // the store, logs, certificates, users; bpffs and /proc
    "open",
    "openat",
    "openat2",
    "close",
    "close_range",
    "read",
    "readv",
    "pread64",
    "preadv",
    "preadv2",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "lseek",
    "sendfile",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "getdents64",
    "getdents",
    "readlink",
    "readlinkat",
    "getcwd",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "umask",
    "ftruncate",
    "truncate",
    "fallocate",
    "fadvise64",
    "fsync",
    "fdatasync",
    "flock",
    "utimensat",
    "getxattr",
    "fgetxattr",
    "lgetxattr",
    // descriptors
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "ioctl",
    "pipe",
    "pipe2",
    "eventfd",
    "eventfd2",
    "signalfd",
    "signalfd4",
    "inotify_init1",
    "inotify_add_watch",
    "inotify_rm_watch",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_gettime",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    // sockets: the API, probes, netlink, metrics, the service manager; socket() itself stands below
    "bind",
    "connect",
    "listen",
    "accept",
    "accept4",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "shutdown",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",
    "socketpair",
    // the kernel's maps and programs
    "bpf",
    // threads; clone() stands below
    "futex",
    "futex_waitv",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "gettid",
    "sched_yield",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "getcpu",
    "arch_prctl",
    "exit",
    "exit_group",
    // signals, and who one is
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "rt_sigpending",
    "rt_sigsuspend",
    "sigaltstack",
    "tgkill",
    "restart_syscall",
    "getpid",
    "getppid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getgroups",
    "getresuid",
    "getresgid",
    "getpgrp",
    "getpgid",
    "getsid",
    "capget",
    "prctl",
    "wait4",
    "waitid",
    "pidfd_open",
    // time, limits, the machine
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "time",
    "times",
    "alarm",
    "setitimer",
    "getitimer",
    "getrlimit",
    "getrusage",
    "prlimit64",
    "setrlimit",
    "sysinfo",
    "uname",
    "getrandom",
};

constexpr std::array kFatal{
    "execve",
    "execveat",
    "fork",
    "vfork",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setfsuid",
    "setfsgid",
    "setgroups",
    "capset",
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "pivot_root",
    "chroot",
    "setns",
    "unshare",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "iopl",
    "ioperm",
    "keyctl",
    "add_key",
    "request_key",
    "userfaultfd",
    "perf_event_open",
    "open_by_handle_at",
    "personality",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
};

constexpr std::array kFamilies{AF_UNIX, AF_NETLINK, AF_INET, AF_INET6};

struct ReleaseFilter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

int AddRules(scmp_filter_ctx filter, uint32_t action, std::span<const char* const> names) {
  for (const char* const name : names) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;
    // EDOM, EACCES: another architecture's, or the same as the default.
    const int error = seccomp_rule_add(filter, action, number, 0);
    if (error != 0 && error != -EDOM) return error;
  }
  return 0;
}

int AddConditions(scmp_filter_ctx filter) {
  for (const int family : kFamilies)
    if (const int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                           SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
        error != 0)
      return error;
  // Threads, not processes. What clone3() is asked for stands in memory, where no filter looks: the C library does
  // without it where it is not there.
  if (const int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
      error != 0)
    return error;
  if (const int error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
      error != 0)
    return error;
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

}  // namespace

Status LimitSystemCalls() {
  const std::string doing = "limiting the system calls";
  const std::unique_ptr<void, ReleaseFilter> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return FailErrno(doing, ENOMEM);
  int error = AddRules(filter.get(), SCMP_ACT_ALLOW, kAllowed);
  if (error == 0) error = AddRules(filter.get(), SCMP_ACT_KILL_PROCESS, kFatal);
  if (error == 0) error = AddConditions(filter.get());
  // To all threads, gRPC's among them; a binary tree of comparisons in place of a list.
  if (error == 0) error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  if (error == 0) error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (error == 0) error = seccomp_load(filter.get());
  if (error == 0) return {};
  auto failed = FailErrno(doing, -error);
  failed.error().message += "; --seccomp=false does without";
  return failed;
}

}  // namespace shunt

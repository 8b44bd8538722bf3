// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "userspace/base/text.h"

namespace shunt {
namespace {

constexpr int kFirstOwnDescriptor = 3;
constexpr int kMaxGroups = 256;

enum class Step : uint8_t { kSession, kStreams, kUser, kExecute };

// What the child tells if it does not get as far as the program.
struct StartFailure {
  Step step = Step::kSession;
  int error = 0;
};

std::string_view ToString(Step step) {
  switch (step) {
    case Step::kSession:
      return "making a session of its own";
    case Step::kStreams:
      return "setting its standard streams";
    case Step::kUser:
      return "becoming its user";
    case Step::kExecute:
      return "executing it";
  }
  return "";
}

// All that the child needs, made before it exists: between fork and exec it may allocate nothing and lock nothing,
// for another thread of the daemon may hold the lock.
struct Prepared {
  std::vector<char*> arguments, environment;  // end in a null pointer
  const UserIds* user = nullptr;
  int input = -1, null = -1, failure = -1;
};

// The whole of this runs between fork and exec: nothing but system calls. The raw ones where the C library's would
// make all threads do the same, of which the child has one.
StartFailure BecomeProgram(const Prepared& prepared) {
  if (setsid() < 0) return {Step::kSession, errno};
  if (dup2(prepared.input, STDIN_FILENO) < 0 || dup2(prepared.null, STDOUT_FILENO) < 0 ||
      dup2(prepared.null, STDERR_FILENO) < 0 || close_range(kFirstOwnDescriptor, ~0u, CLOSE_RANGE_CLOEXEC) != 0 ||
      chdir("/") != 0)
    return {Step::kStreams, errno};

  // Caught ones are reset by exec, ignored ones are not.
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);  // not for KILL, STOP and the C library's own
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);

  const UserIds& user = *prepared.user;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  // A daemon that is that user already needs no right to change.
  if (user.user != getuid() || user.group != getgid()) {
    if (syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0 ||
        syscall(SYS_setresgid, user.group, user.group, user.group) != 0 ||
        syscall(SYS_setresuid, user.user, user.user, user.user) != 0)
      return {Step::kUser, errno};
  }
  // After the change of user, which would undo it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return {Step::kUser, errno};
  execve(prepared.arguments[0], prepared.arguments.data(), prepared.environment.data());
  return {Step::kExecute, errno};
}

// So that no descriptor the child needs is one of the three standard ones, which the daemon may have closed.
UniqueFd Raise(int fd) {
  const UniqueFd low(fd);
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, kFirstOwnDescriptor));
}

// A file in memory: unlike a pipe it takes any length, and needs nobody who writes while the program reads.
Result<UniqueFd> MakeInput(const std::string& text) {
  UniqueFd file = Raise(memfd_create("input", MFD_CLOEXEC));
  if (!file.valid()) return FailErrno("making its standard input", errno);
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(file.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) return FailErrno("writing its standard input", errno);
    if (written > 0) done += static_cast<size_t>(written);
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return FailErrno("writing its standard input", errno);
  return file;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

pid_t Fork(const Prepared& prepared) {
  // No handler of the daemon's may run in the child.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = _Fork();  // without the handlers that libraries hang on fork(): the child runs none of their code
  if (pid == 0) {
    const StartFailure failure = BecomeProgram(prepared);
    [[maybe_unused]] const auto written = write(prepared.failure, &failure, sizeof(failure));
    _exit(127);
  }
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

void WaitFor(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Waits until the child has become the program, which closes `told`, or says why not.
Status AwaitProgram(int told) {
  StartFailure failure;
  ssize_t bytes;
  do {
    bytes = read(told, &failure, sizeof(failure));
  } while (bytes < 0 && errno == EINTR);
  if (bytes == 0) return {};
  if (bytes != static_cast<ssize_t>(sizeof(failure))) return FailErrno("starting it", bytes < 0 ? errno : EPIPE);
  return FailErrno(ToString(failure.step), failure.error);
}

}  // namespace

Result<UserIds> LookUpUser(const std::string& name) {
  const std::string doing = "looking up user " + Quote(name);
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> buffer;
  const int error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (error != 0) return FailErrno(doing, error);
  if (!found) return Fail(ErrorKind::kNotFound, doing + ": there is none of this name");
  UserIds ids{.user = entry.pw_uid, .group = entry.pw_gid, .groups = std::vector<gid_t>(kMaxGroups), .name = name};
  int count = kMaxGroups;
  if (getgrouplist(name.c_str(), entry.pw_gid, ids.groups.data(), &count) < 0)
    return Fail(ErrorKind::kInvalid, doing + ": it is in more than " + std::to_string(kMaxGroups) + " groups");
  ids.groups.resize(static_cast<size_t>(count));
  return ids;
}

std::string ChildEnd::ToString() const {
  if (!by_signal) return "exit status " + std::to_string(code);
  const char* const name = sigdescr_np(code);
  return "killed by signal " + std::to_string(code) + (name ? " (" + std::string(name) + ")" : "");
}

Result<ChildProcess> ChildProcess::Start(const ChildCommand& command) {
  if (command.arguments.empty()) return Fail(ErrorKind::kInvalid, "starting a program: none is named");
  const std::string doing = "starting " + Quote(command.arguments[0]) + " as user " + Quote(command.user.name);
  const auto input = MakeInput(command.input);
  if (!input) return Context(doing, input.error());
  const UniqueFd null = Raise(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return FailErrno(doing + ": opening /dev/null", errno);
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno(doing + ": making a pipe", errno);
  const UniqueFd told(ends[0]);
  UniqueFd tells = Raise(ends[1]);
  if (!tells.valid()) return FailErrno(doing + ": making a pipe", errno);

  const pid_t pid = Fork({.arguments = Pointers(command.arguments),
                          .environment = Pointers(command.environment),
                          .user = &command.user,
                          .input = input->get(),
                          .null = null.get(),
                          .failure = tells.get()});
  if (pid < 0) return FailErrno(doing + ": forking", errno);
  tells = UniqueFd();
  if (auto runs = AwaitProgram(told.get()); !runs) {
    WaitFor(pid);
    return Context(doing, runs.error());
  }
  // Still that process: nobody has reaped it. (The C library's own function cannot be called from C++ in 2.36.)
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  ChildProcess child(pid, std::move(pidfd));
  if (!child.pidfd_.valid()) return FailErrno(doing + ": opening its pidfd", errno);
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), parent_(other.parent_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(parent_, other.parent_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  if (parent_) {
    parent_->Destroy(pid_);
  } else {
    Kill();
    WaitFor(pid_);
  }
}

void ChildProcess::Kill() const {
  if (parent_ && pid_ > 0) return parent_->Kill(pid_);
  // As long as it is not reaped no other process or group can have its number.
  if (pid_ > 0) kill(-pid_, SIGKILL);
}

std::optional<ChildEnd> ChildProcess::Reap() {
  if (pid_ < 0) return std::nullopt;
  if (parent_) {
    const auto end = parent_->Reap(pid_);
    if (end) pid_ = -1;
    return end;
  }
  siginfo_t info{};
  const auto id = static_cast<id_t>(pid_);
  if (waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) return std::nullopt;
  Kill();  // what it left behind
  waitid(P_PID, id, &info, WEXITED);
  pid_ = -1;
  return ChildEnd{.by_signal = info.si_code != CLD_EXITED, .code = info.si_status};
}

}  // namespace shunt

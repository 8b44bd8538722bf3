// SPDX-License-Identifier: Apache-2.0
// A program that runs beside the daemon: as another user, in a session of its own, with nothing of the daemon's but
// what it is given. Never a shell. Called by the exec prober, the hook, and the process that starts programs for them
// (program_starter.h); one thread at a time. Not here: how long it may run; whoever started it kills it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"

namespace shunt {

// Whose rights a program gets.
struct UserIds {
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
  std::string name;  // for messages
};

// Asks the system's databases of users and groups, which may take a while where they are not files.
Result<UserIds> LookUpUser(const std::string& name);

struct ChildCommand {
  std::vector<std::string> arguments;    // the first is the absolute path of the program
  std::vector<std::string> environment;  // "NAME=value"; the whole of it
  UserIds user;
  std::string input;  // what it reads from standard input
};

struct ChildEnd {
  bool by_signal = false;
  int code = 0;  // exit status, or number of the signal

  bool passed() const { return !by_signal && code == 0; }
  std::string ToString() const;  // "exit status 2", "killed by signal 9 (Killed)"
};

// Who has a program for its child, where that is another process than the one that asks about it.
class ChildParent {
 public:
  virtual ~ChildParent() = default;
  virtual void Kill(pid_t pid) = 0;
  virtual std::optional<ChildEnd> Reap(pid_t pid) = 0;
  virtual void Destroy(pid_t pid) = 0;  // kills it and forgets it
};

// Movable; destroying it kills the program.
class ChildProcess {
 public:
  // A child of `parent`, which outlives this.
  ChildProcess(ChildParent& parent, pid_t pid, UniqueFd pidfd)
      : pid_(pid), pidfd_(std::move(pidfd)), parent_(&parent) {}
  // Returns when the program runs: one that cannot be executed is an error. What it writes is lost.
  static Result<ChildProcess> Start(const ChildCommand& command);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  int descriptor() const { return pidfd_.get(); }  // a pidfd: readable when the program has ended
  void Kill() const;                               // with all that it started in its session's first process group
  // How it ended; nothing as long as it runs. Kills what it left behind. Not again after it told.
  std::optional<ChildEnd> Reap();

 private:
  ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_ = -1;  // -1: none, or reaped
  UniqueFd pidfd_;
  ChildParent* parent_ = nullptr;  // null: this process
};

}  // namespace shunt

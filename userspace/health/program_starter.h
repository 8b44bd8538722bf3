// SPDX-License-Identifier: Apache-2.0
// A process of its own that starts programs as other users, for a daemon that gave up the right to (CAP_SETUID and its
// like) and has forbidden itself most system calls, which a child would inherit. Forked before that, it does nothing
// but start programs, tell how they ended and kill them, and it ends with the daemon. Called by the exec prober and the
// hook, any thread. Not here: which rights the process keeps (daemon/privileges.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"
#include "userspace/health/child_process.h"

namespace shunt {

enum class ProgramVerb : uint32_t;
struct ProgramMessage;

class ProgramStarter final : public ChildParent {
 public:
  struct Options {
    std::vector<UserIds> users;       // who may run programs; none: everybody
    std::function<Status()> prepare;  // runs in the new process before anything else; may be empty
  };
  // While the process has one thread. `prepare`'s error is the result.
  static Result<std::unique_ptr<ProgramStarter>> Fork(const Options& options);
  ~ProgramStarter() override;  // kills the programs that run

  // Returns when the program runs. kInvalid: that user may not run programs.
  Result<ChildProcess> Start(const ChildCommand& command);

  void Kill(pid_t pid) override;
  std::optional<ChildEnd> Reap(pid_t pid) override;
  void Destroy(pid_t pid) override;

  pid_t process() const { return process_; }

 private:
  ProgramStarter(UniqueFd socket, pid_t process) : socket_(std::move(socket)), process_(process) {}

  Result<ProgramMessage> AskAbout(ProgramVerb verb, pid_t pid);

  std::mutex mutex_;  // one request and its answer at a time
  UniqueFd socket_;
  const pid_t process_;
};

// By the starter, or by this process where there is none.
Result<ChildProcess> StartProgram(ProgramStarter* starter, const ChildCommand& command);

}  // namespace shunt

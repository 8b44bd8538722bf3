// SPDX-License-Identifier: Apache-2.0
// An external program: it is told in its environment whom to ask, and its exit status is the answer.
#include <sys/epoll.h>

#include <optional>
#include <string>
#include <utility>

#include "userspace/health/child_process.h"
#include "userspace/health/probe_base.h"
#include "userspace/health/probe_kinds.h"
#include "userspace/health/program_starter.h"

namespace shunt {
namespace {

class ExecProber : public TimedProber {
 public:
  ExecProber(const ProbeTarget& target, EventLoop& loop, ProgramStarter* programs, OnOutcome done)
      : TimedProber(loop, std::move(done)), target_(target), programs_(programs) {}
  ~ExecProber() override { Kill(); }

  uint32_t sockets() const override { return child_ ? 1 : 0; }

 protected:
  // A program has no socket of ours to mark: the route is not used.
  void Ask(const ProbeRoute&, std::chrono::milliseconds timeout) override {
    if (!user_) {
      auto user = LookUpUser(target_.check.user);
      if (!user) return Fail(user.error().message);
      user_ = std::move(*user);
    }
    auto child =
        StartProgram(programs_, {
                                    .arguments = target_.check.command,
                                    .environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                                    "SHUNT_REAL=" + target_.real.ToString(),
                                                    "SHUNT_VIP_ADDRESS=" + target_.destination.ToString(),
                                                    "SHUNT_PORT=" + std::to_string(target_.port),
                                                    "SHUNT_TIMEOUT_MS=" + std::to_string(timeout.count())},
                                    .user = *user_,
                                    .input = {},
                                });
    if (!child) return Fail(child.error().message);
    child_ = std::move(*child);
    const auto watching = loop().Watch(child_->descriptor(), EPOLLIN, [this](uint32_t) { Ended(); });
    if (!watching) Fail(watching.error().message);
  }

  void End(bool) override { Kill(); }

 private:
  void Ended() {
    const auto end = child_->Reap();
    if (!end) return;
    if (end->passed()) return Pass();
    Fail(end->ToString());
  }

  void Kill() {
    if (!child_) return;
    loop().Unwatch(child_->descriptor());
    child_.reset();
  }

  const ProbeTarget target_;
  ProgramStarter* const programs_;
  std::optional<UserIds> user_;
  std::optional<ChildProcess> child_;
};

}  // namespace

std::unique_ptr<Prober> MakeExecProber(const ProbeTarget& target, EventLoop& loop, ProgramStarter* programs,
                                       OnOutcome done) {
  return std::make_unique<ExecProber>(target, loop, programs, std::move(done));
}

}  // namespace shunt

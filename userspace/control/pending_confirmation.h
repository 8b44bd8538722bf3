// SPDX-License-Identifier: Apache-2.0
// A change that is taken back by itself unless somebody confirms it in time, also by a shuntd that was started anew:
// the store from before the change stands in the history's folder as unconfirmed.yaml, with the time in its head
// comment, from before the change is made until it is confirmed or taken back. Not here: taking it back
// (writer_confirm.cc). Runs on the writer thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/store_history.h"

namespace shunt {

inline constexpr std::chrono::seconds kMinConfirmWithin{1};
inline constexpr std::chrono::seconds kMaxConfirmWithin{24 * 3600};

struct Unconfirmed {
  uint64_t back_to = 0;  // the generation that is gone back to
  SteadyTime deadline = SteadyTime::max();
  std::shared_ptr<const DesiredState> before;  // its state; never null
};

class PendingConfirmation {
 public:
  explicit PendingConfirmation(const StoreHistory& history);

  const std::optional<Unconfirmed>& waiting() const { return waiting_; }
  SteadyTime due_at() const;  // the deadline; max: nothing waits

  // At the start, when `in_force` is what the store says. What is read from the clock on the wall is trusted no further
  // than that the time left is at most the whole. Not found on disk, or meant for a change that never happened: nothing
  // waits. An error: there is something that cannot be read, and nothing waits.
  Status Resume(const DesiredState& in_force, SteadyTime now);

  // Before the change is made: from here on a crash is followed by going back. Then, made or not, Begin() or End().
  Status Prepare(const DesiredState& before, uint64_t generation, std::chrono::seconds within);
  void Begin(SteadyTime now);
  // After an error it waits on.
  Status Confirm();
  // The change was taken back, or never made. An error: see Settled().
  Status End();
  void TryAgainAt(SteadyTime at);  // going back failed

  // False: a file from a change that is over could not be removed, and after a crash would be gone back to. Tries to
  // remove it.
  Status Settled();

 private:
  struct Prepared {
    Unconfirmed unconfirmed;
    std::chrono::seconds within{};
  };

  const StoreHistory history_;
  const std::string path_;
  std::optional<Prepared> prepared_;
  std::optional<Unconfirmed> waiting_;
  bool is_left_over_ = false;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Which generation of the store is in force, and that each gets into the history: at once, or later if the disk refuses
// it for now. A refusal is told and undoes nothing: the store itself is written already, and it alone is the truth. Not
// here: the history's files (model/store_history.h). The writer thread's; history() is for any.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "userspace/dataplane/plan.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/store_history.h"

namespace shunt {

class Generations {
 public:
  // `kept`: how many older ones.
  Generations(const std::string& store_path, uint32_t kept) : history_(store_path), kept_(kept) {}

  const StoreHistory& history() const { return history_; }
  uint64_t current() const { return current_; }
  std::vector<Generation> unkept() const;  // oldest first: those that the history does not have yet

  // The first call: what is in force is what the store says. Where that is not the newest generation of the history, be
  // it that somebody edited the store, or that a crash came between the two writes, it becomes one. Each of these
  // returns what went wrong, an empty text if nothing did.
  std::string Open(const DesiredState& in_force, SteadyTime now);
  // `state` has come into force; `changes` are the lines that tell it from the one before.
  std::string Begin(const DesiredState& state, const std::vector<std::string>& changes, const std::string& by,
                    SteadyTime now);
  // Tries again what could not be written.
  std::string Retry(SteadyTime now);
  SteadyTime due_at() const { return due_at_; }  // of Retry(); max: not needed

 private:
  std::string Keep(SteadyTime now);

  const StoreHistory history_;
  const uint32_t kept_;
  uint64_t current_ = 0;
  std::deque<std::pair<Generation, DesiredState>> unkept_;
  SteadyTime due_at_ = SteadyTime::max();
};

}  // namespace shunt

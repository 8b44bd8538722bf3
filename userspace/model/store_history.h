// SPDX-License-Identifier: Apache-2.0
// The history of a store: the generation in force and a number of older ones, a file each in the folder STORE.history.
// Each is a whole store, with a head comment of when it came into force, by whom, and what it changed. Other files in
// the folder are nobody's business here: they are neither read nor removed. Keeps nothing in memory, so reading is for
// any thread; the writer thread writes. Not here: which generation is in force (control/generations.h).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/store_head.h"

namespace shunt {

inline constexpr uint64_t kMaxGeneration = 999'999'999'999;
inline constexpr uint32_t kDefaultKeptGenerations = 64;
inline constexpr uint32_t kMaxKeptGenerations = 10000;

// What is told of a generation beside its store.
struct Generation {
  uint64_t number = 0;                   // 1 and up
  std::optional<WallTime> since = {};    // when it came into force; unset: its file does not say
  std::string by = {};                   // "real add (uid 0)"; empty: its file does not say
  std::optional<uint64_t> changes = {};  // how many lines tell it from the one before
  std::string first_change = {};         // the first of these lines
  bool operator==(const Generation&) const = default;
};

class StoreHistory {
 public:
  explicit StoreHistory(const std::string& store_path);

  const std::string& folder() const { return folder_; }

  // Every generation that is kept, oldest first. No folder: none.
  Result<std::vector<Generation>> List() const;
  // The highest number that a file of the folder bears, whatever the file is; 0: none.
  Result<uint64_t> Newest() const;
  // kNotFound names those there are.
  Result<DesiredState> Load(uint64_t number) const;

  Status MakeFolder() const;  // there already: done
  // Makes the folder too.
  Status Add(const Generation& generation, const DesiredState& state) const;
  // Removes the oldest beyond the newest, which is in force, and `kept` before it.
  Status Prune(uint32_t kept) const;
  // Removes what a process that died while it added this one left.
  void RemoveLeftoversOf(uint64_t number) const;

 private:
  std::string PathOf(uint64_t number) const;
  Result<std::set<uint64_t>> Numbers() const;

  std::string folder_;
};

}  // namespace shunt

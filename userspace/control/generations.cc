// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/generations.h"

#include <fmt/format.h>

#include <algorithm>

#include "userspace/model/diff.h"

namespace shunt {
namespace {

constexpr std::chrono::seconds kRetry{10};
constexpr size_t kMaxUnkept = 16;  // whole stores in memory

}  // namespace

std::vector<Generation> Generations::unkept() const {
  std::vector<Generation> generations;
  for (const auto& [generation, state] : unkept_) generations.push_back(generation);
  return generations;
}

std::string Generations::Open(const DesiredState& in_force, SteadyTime now) {
  const auto newest = history_.Newest();
  if (!newest) return Begin(in_force, {}, "found at the start", now);
  current_ = *newest;
  history_.RemoveLeftoversOf(current_ + 1);
  if (current_ == 0) return Begin(in_force, Diff({}, in_force), "found at the start, the first that is kept", now);
  const auto known = history_.Load(current_);
  if (known && *known == in_force) return "";
  std::string problem = Begin(in_force, known ? Diff(*known, in_force) : std::vector<std::string>{},
                              "found at the start: the store was edited, or a crash came before its history", now);
  if (known || known.error().kind == ErrorKind::kNotFound) return problem;
  return fmt::format("{}{}the newest generation of the history cannot be read: {}", problem,
                     problem.empty() ? "" : "; ", known.error().message);
}

std::string Generations::Begin(const DesiredState& state, const std::vector<std::string>& changes,
                               const std::string& by, SteadyTime now) {
  Generation generation{.number = ++current_, .since = WallNow(), .by = by};
  if (!changes.empty()) {
    generation.changes = changes.size();
    generation.first_change = changes.front();
  }
  unkept_.emplace_back(std::move(generation), state);
  return Keep(now);
}

std::string Generations::Retry(SteadyTime now) { return unkept_.empty() ? "" : Keep(now); }

std::string Generations::Keep(SteadyTime now) {
  due_at_ = now + kRetry;
  std::string lost;
  if (unkept_.size() > kMaxUnkept) {
    lost = fmt::format("; generation {} is given up", unkept_.front().first.number);
    unkept_.pop_front();
  }
  const auto failed = [&lost](const Error& error) {
    return fmt::format("the change is made, but the history lacks it, and is tried again: {}{}", error.message, lost);
  };
  const auto newest = history_.Newest();
  if (!newest) return failed(newest.error());
  // Numbers only grow, whatever somebody put into the folder meanwhile.
  if (const uint64_t first = unkept_.front().first.number; first <= *newest) {
    const uint64_t shift = *newest + 1 - first;
    for (auto& [generation, state] : unkept_) generation.number += shift;
    current_ += shift;
  }
  while (!unkept_.empty()) {
    if (auto added = history_.Add(unkept_.front().first, unkept_.front().second); !added) return failed(added.error());
    unkept_.pop_front();
  }
  due_at_ = SteadyTime::max();
  const Status pruned = history_.Prune(kept_);
  return pruned ? "" : "pruning the history: " + pruned.error().message;
}

}  // namespace shunt

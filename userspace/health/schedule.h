// SPDX-License-Identifier: Apache-2.0
// When which target is due. Pure: the checker takes what is due, and gives each back when its probe has ended, so that
// none is ever started twice at once. Targets are numbers that the caller chooses, small ones: they index a table.
//
// Each target has its own grid of times, one interval apart and shifted against the others' so that all together are
// spread evenly; the times of the grid follow from each other and not from when a probe was really started, so nothing
// drifts. Jitter moves a probe off its time by at most half of the percentage, so that no interval between two
// is shorter or longer than it allows.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "userspace/dataplane/plan.h"

namespace shunt {

class Schedule {
 public:
  using Duration = SteadyTime::duration;

  // A new target is first due within its interval, but not later than this.
  static constexpr std::chrono::seconds kFirstWithin{10};

  explicit Schedule(uint32_t seed) : random_(seed) {}

  struct Pace {
    Duration interval{};
    uint32_t jitter_percent = 0;
    bool operator==(const Pace&) const = default;
  };

  void Add(uint32_t target, const Pace& pace, SteadyTime now);
  void Remove(uint32_t target);  // also one that was taken
  // Another pace, by the operator: a new place in the new interval, if it is waiting; one that was taken gets the pace
  // when it is given back.
  void Repace(uint32_t target, const Pace& pace, SteadyTime now);

  struct Due {
    uint32_t target = 0;
    Duration late{};
  };
  std::optional<Due> Take(SteadyTime now);  // the one that is due longest; it waits no more until it is given back
  std::optional<SteadyTime> next_due() const;

  // Its probe, started at `started`, has ended. The same pace: it goes on along its grid, and what has passed meanwhile
  // is left out but for one. Another one: its grid begins anew, one interval after `started`.
  void GiveBack(uint32_t target, const Pace& pace, SteadyTime started, SteadyTime now);

  size_t waiting_places() const { return heap_.size(); }  // memory: void ones among them

 private:
  struct Item {
    Pace pace;
    SteadyTime grid;  // the time that it is due at, without jitter; or later, for the first time
    SteadyTime due;
    uint32_t turn = 0;     // entries of the heap with another one are void
    bool there = false;    // added and not removed
    bool waiting = false;  // in the heap
  };
  struct Entry {
    SteadyTime due;
    uint32_t target = 0;
    uint32_t turn = 0;
  };
  static bool Later(const Entry& a, const Entry& b) { return a.due > b.due; }

  void ChooseNextPlace();
  Duration PlaceIn(Duration interval) const;
  Duration Jitter(const Pace& pace);
  void Wait(uint32_t target, SteadyTime due);
  void StopWaiting(Item& item);
  bool IsVoid(const Entry& entry) const { return items_[entry.target].turn != entry.turn; }
  void DropVoid();

  std::mt19937 random_;
  uint32_t place_ = 0;
  size_t waiting_ = 0;
  std::vector<Item> items_;  // by target
  std::vector<Entry> heap_;  // the first is not void
};

}  // namespace shunt

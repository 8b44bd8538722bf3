// SPDX-License-Identifier: Apache-2.0
// Ranges of ring memory, handed out and taken back.
#include "userspace/dataplane/ring_memory.h"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

namespace shunt {
namespace {

RingMemory OfLines(uint32_t lines) {
  RingMemory memory;
  memory.Grow(lines);
  return memory;
}

TEST_CASE("Ring memory hands out ranges side by side until there is no more") {
  RingMemory memory = OfLines(100);
  CHECK(memory.Take(60) == RingRange{0, 60});
  CHECK(memory.Take(40) == RingRange{60, 40});
  CHECK_FALSE(memory.Take(1));
}

TEST_CASE("A ring may cross the border between old lines and new ones") {
  RingMemory memory = OfLines(100);
  REQUIRE(memory.Take(90));
  CHECK_FALSE(memory.Take(20));
  memory.Grow(100);
  CHECK(memory.Take(20) == RingRange{90, 20});
}

TEST_CASE("A retired range is handed out again only after it was reclaimed") {
  RingMemory memory = OfLines(100);
  const auto range = memory.Take(100);
  memory.Retire(*range);
  CHECK(memory.free_lines() == 0);
  CHECK_FALSE(memory.Take(1));
  memory.Reclaim();
  CHECK(memory.free_lines() == 100);
  CHECK(memory.Take(100) == range);
}

TEST_CASE("Ranges that were given up side by side become one again, in any order") {
  for (const auto& order : {std::vector{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}}) {
    RingMemory memory = OfLines(30);
    std::vector<RingRange> ranges;
    for (int i = 0; i < 3; ++i) ranges.push_back(*memory.Take(10));
    for (const int i : order) memory.Free(ranges[static_cast<size_t>(i)]);
    CHECK(memory.Take(30) == RingRange{0, 30});
  }
}

TEST_CASE("Lines asked for by number are taken once, and only where all of them are free") {
  RingMemory memory = OfLines(100);
  CHECK(memory.TakeAt({10, 20}));
  CHECK_FALSE(memory.TakeAt({10, 20}));
  CHECK_FALSE(memory.TakeAt({5, 10}));
  CHECK_FALSE(memory.TakeAt({29, 2}));
  CHECK_FALSE(memory.TakeAt({90, 11}));
  CHECK_FALSE(memory.TakeAt({200, 1}));
  CHECK_FALSE(memory.TakeAt({4294967295u, 4294967295u}));
  CHECK(memory.TakeAt({30, 70}));
  CHECK(memory.TakeAt({0, 10}));
  CHECK_FALSE(memory.Take(1));
}

TEST_CASE("What is missing for a range counts what is retired and what is free at the end") {
  RingMemory memory = OfLines(100);
  const auto first = memory.Take(60);
  REQUIRE(memory.Take(10));
  CHECK(memory.MissingFor(30) == 0);
  CHECK(memory.MissingFor(31) == 1);
  memory.Retire(*first);
  CHECK(memory.MissingFor(60) == 0);
  CHECK(memory.MissingFor(61) == 31);
}

TEST_CASE("Over ten thousand random takes and returns no line belongs to two rings, and none is lost") {
  constexpr uint32_t kLines = 5000;
  RingMemory memory = OfLines(kLines);
  std::vector<bool> used(kLines);
  std::vector<RingRange> rings;
  std::mt19937_64 random(3);
  const auto mark = [&](const RingRange& range, bool use) {
    for (uint32_t line = range.first_line; line < range.first_line + range.lines; ++line) {
      REQUIRE(used.at(line) != use);
      used[line] = use;
    }
  };
  for (int round = 0; round < 10'000; ++round) {
    if (const auto range = memory.Take(1 + static_cast<uint32_t>(random() % 300))) {
      mark(*range, true);
      rings.push_back(*range);
      continue;
    }
    while (rings.size() > 3) {
      mark(rings.back(), false);
      memory.Retire(rings.back());
      rings.pop_back();
    }
    memory.Reclaim();
  }
  for (const RingRange& range : rings) memory.Free(range);
  CHECK(memory.Take(kLines) == RingRange{0, kLines});
}

}  // namespace
}  // namespace shunt

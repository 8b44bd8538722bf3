// SPDX-License-Identifier: Apache-2.0
//
// Walks: see walk.h. Changing anything here changes every ring, and so moves flows between balancers of different
// versions; the digests in tests/unit/maglev_test.cc notice. Pure functions, any thread.
#include "maglev/walk.h"

#include <algorithm>

namespace shunt::maglev {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr uint32_t kTimeUnit = uint32_t{1} << 28;

uint64_t BigEndian64(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

uint64_t Mix(uint64_t x) {  // the finalizer of splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t HashId(const std::array<uint8_t, 16>& id) {
  uint64_t hash = Mix(BigEndian64(id.data()) + kGolden);
  return Mix(hash + BigEndian64(id.data() + 8) + kGolden);
}

Walk MakeWalk(uint64_t id_hash, uint32_t weight, uint32_t ring_size) {
  const uint64_t second = Mix(id_hash + kGolden);
  const uint64_t third = Mix(second + kGolden);
  Walk walk{};
  walk.first_slot = Reduce(id_hash, ring_size);
  walk.stride = 1 + Reduce(second, ring_size - 1);
  walk.slowness = UINT32_MAX / weight;
  const uint64_t first_step = (uint64_t{kTimeUnit / ring_size} * walk.slowness) >> 16;
  walk.head_start = Reduce(third, static_cast<uint32_t>(std::min<uint64_t>(first_step + 1, UINT32_MAX)));
  return walk;
}

void VisitTimes::ExtendTo(uint32_t time) {
  while (times_.back() < time) {
    const auto visits = static_cast<uint32_t>(times_.size());
    times_.push_back(visits == ring_size_ ? kNever : times_.back() + kTimeUnit / (ring_size_ - visits + 1));
  }
}

uint32_t VisitTimeAt(const Walk& walk, uint64_t moment) {
  if (moment <= walk.head_start) return 0;
  const uint64_t elapsed = moment - walk.head_start;
  if (elapsed >> 48 != 0) return VisitTimes::kNever;
  const uint64_t scaled = elapsed << 16;
  const uint64_t time = scaled / walk.slowness + (scaled % walk.slowness != 0);
  return static_cast<uint32_t>(std::min<uint64_t>(time, VisitTimes::kNever));
}

}  // namespace shunt::maglev

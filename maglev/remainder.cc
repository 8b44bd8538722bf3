// SPDX-License-Identifier: Apache-2.0
//
// Placing the remainder: see remainder.h. Pure, any thread.
#include "maglev/remainder.h"

#include "maglev/ring.h"
#include "maglev/walk.h"

namespace shunt::maglev {
namespace {

struct Placed {
  uint32_t slot;
  uint16_t owner;
};

// Random looks find a real soon unless few slots belong to reals that may grow; then a look at every slot in turn does.
constexpr uint32_t kRandomLooks = 1024;

uint32_t LookAt(uint32_t slot, uint32_t look, uint32_t ring_size) {
  if (look < kRandomLooks) return Reduce(Mix((uint64_t{slot} << 32 | look) * 0x9e3779b97f4a7c15), ring_size);
  return (slot + look) % ring_size;
}

}  // namespace

void PlaceRemainder(std::span<uint16_t> owners, std::vector<bool> may_grow) {
  const auto ring_size = static_cast<uint32_t>(owners.size());
  std::vector<uint32_t> searching;
  for (uint32_t slot = 0; slot < ring_size; ++slot) {
    if (owners[slot] == kNoReal) searching.push_back(slot);
  }
  std::vector<Placed> placed;
  placed.reserve(searching.size());
  for (uint32_t look = 0; !searching.empty(); ++look) {
    size_t kept = 0;
    for (const uint32_t slot : searching) {
      const uint16_t found = owners[LookAt(slot, look, ring_size)];
      if (found == kNoReal || !may_grow[found]) {
        searching[kept++] = slot;
        continue;
      }
      may_grow[found] = false;
      placed.push_back({slot, found});
    }
    searching.resize(kept);
  }
  for (const auto& [slot, owner] : placed) owners[slot] = owner;
}

}  // namespace shunt::maglev

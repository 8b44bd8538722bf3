// SPDX-License-Identifier: Apache-2.0
//
// The stable matching of reals and slots: which real owns which slot, once each real's number of slots is fixed.
// Numbers of slots come from shares.h, the order of visits from walk.h. Called by ring.cc; pure, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shunt::maglev {

// Walks tell weights apart up to this one.
inline constexpr uint32_t kMaxWalkWeight = 65535;

struct Contender {
  uint64_t id_hash;
  uint32_t weight;  // only ratios matter; 1 to kMaxWalkWeight
  uint32_t share;   // slots it takes; the shares of all contenders add up to ring_size or less
};

// owners[slot] = position of the owner in `contenders`, kNoReal for the slots that are left over.
// Every real walks the ring (walk.h) and takes each slot it visits that no real visited earlier, until it owns its
// share; of two visits at the same moment the lower position's counts as earlier. So no real and slot exist that would
// both rather have each other: the real would have visited the slot sooner than the last one it owns, and sooner than
// the slot's owner did. There is exactly one such matching, whatever the order in which it is computed.
std::vector<uint16_t> MatchSlots(std::span<const Contender> contenders, uint32_t ring_size);

}  // namespace shunt::maglev

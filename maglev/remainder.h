// SPDX-License-Identifier: Apache-2.0
//
// The slots that rounding leaves over: each goes to some real that may own one more than its share rounded down.
// Which reals may is decided in shares.h. Called by ring.cc; pure, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shunt::maglev {

// Gives every slot of `owners` that is kNoReal an owner. A slot looks at other slots of the ring in an order of its own
// and joins the first whose owner may still grow; every real grows once at most. What a slot looks at are the owners
// before this step, so one slot's choice touches another's only where both find the same real.
// may_grow[position] says who may; it must hold more reals than slots are left over, each with a slot already.
void PlaceRemainder(std::span<uint16_t> owners, std::vector<bool> may_grow);

}  // namespace shunt::maglev

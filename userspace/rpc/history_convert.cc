// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/history_convert.h"

#include <algorithm>

namespace shunt {

using std::chrono::seconds;

std::optional<seconds> ConfirmWithin(uint32_t within) {
  if (within == 0) return std::nullopt;
  return seconds(within);
}

v1::Unconfirmed ToUnconfirmed(const Unconfirmed& unconfirmed, SteadyTime now) {
  v1::Unconfirmed out;
  out.set_back_to(unconfirmed.back_to);
  const auto left = std::max(std::chrono::ceil<seconds>(unconfirmed.deadline - now), seconds(0));
  out.set_seconds_left(static_cast<uint64_t>(left.count()));
  return out;
}

v1::Generations ToGenerations(std::span<const Generation> generations, uint32_t limit, const StoreStatus& store,
                              SteadyTime now) {
  if (limit != 0 && generations.size() > limit) generations = generations.last(limit);
  v1::Generations out;
  for (const Generation& generation : generations) {
    v1::Generation& row = *out.add_generations();
    row.set_number(generation.number);
    if (generation.since) row.set_since_s(static_cast<uint64_t>(generation.since->time_since_epoch().count()));
    row.set_by(generation.by);
    if (generation.changes) row.set_changes(*generation.changes);
    row.set_first_change(generation.first_change);
  }
  out.set_in_force(store.generation);
  if (store.unconfirmed) *out.mutable_unconfirmed() = ToUnconfirmed(*store.unconfirmed, now);
  return out;
}

}  // namespace shunt

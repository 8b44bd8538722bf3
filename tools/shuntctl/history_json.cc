// SPDX-License-Identifier: Apache-2.0
// Generations of the store for programs.
#include "tools/shuntctl/json.h"

namespace shunt::ctl {

Json UnconfirmedOrNull(bool waits, const v1::Unconfirmed& unconfirmed) {
  if (!waits) return nullptr;
  return {{"back_to", unconfirmed.back_to()}, {"seconds_left", unconfirmed.seconds_left()}};
}

Json ToJson(const v1::Generations& generations) {
  Json rows = Json::array();
  for (const v1::Generation& generation : generations.generations()) {
    const auto text = [](const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); };
    rows.push_back({{"number", generation.number()},
                    {"since_s", generation.has_since_s() ? Json(generation.since_s()) : Json(nullptr)},
                    {"by", text(generation.by())},
                    {"changes", generation.has_changes() ? Json(generation.changes()) : Json(nullptr)},
                    {"first_change", text(generation.first_change())}});
  }
  return {{"generations", std::move(rows)},
          {"in_force", generations.in_force()},
          {"unconfirmed", UnconfirmedOrNull(generations.has_unconfirmed(), generations.unconfirmed())}};
}

Json ToJson(const v1::Differences& differences) {
  Json changes = Json::array();
  for (const std::string& change : differences.changes()) changes.push_back(change);
  return {{"from", differences.from()}, {"to", differences.to()}, {"changes", std::move(changes)}};
}

}  // namespace shunt::ctl

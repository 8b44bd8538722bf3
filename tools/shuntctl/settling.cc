// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/settling.h"

#include <fmt/format.h>

#include "tools/shuntctl/table.h"

namespace shunt::ctl {
namespace {

uint64_t SlotsOf(const v1::Settling& settling) {
  return uint64_t{settling.stable_slots()} + settling.moving_slots() + settling.slots_with_exceptions();
}

}  // namespace

std::string Duration(uint64_t seconds) {
  constexpr uint64_t kMinute = 60;
  constexpr uint64_t kHour = 60 * kMinute;
  const auto with_rest = [](std::string whole, uint64_t rest, const char* unit) {
    return rest == 0 ? whole : fmt::format("{} {} {}", whole, rest, unit);
  };
  if (seconds < kMinute) return fmt::format("{} s", seconds);
  if (seconds < kHour) return with_rest(fmt::format("{} min", seconds / kMinute), seconds % kMinute, "s");
  return with_rest(fmt::format("{} h", seconds / kHour), seconds % kHour / kMinute, "min");
}

bool IsSettled(const v1::Settling& settling) {
  return settling.moving_slots() == 0 && settling.slots_with_exceptions() == 0;
}

std::string SettledWhen(const v1::Settling& settling) {
  if (IsSettled(settling)) return "settled";
  if (settling.moving_slots() == 0) return "settled but for remembered flows of other reals";
  if (!settling.has_settles_in_seconds()) return "not before a real takes new flows";
  if (settling.settles_in_seconds() == 0) return "at any moment";
  return fmt::format("in {} if nothing else changes", Duration(settling.settles_in_seconds()));
}

std::string UnsettledLine(const v1::Settling& settling) {
  const std::string slots = Grouped(SlotsOf(settling));
  if (settling.moving_slots() == 0) {
    return fmt::format("{} of {} slots have exceptions: remembered flows of other reals",
                       Grouped(settling.slots_with_exceptions()), slots);
  }
  return fmt::format("{} of {} slots are moving; settled {}", Grouped(settling.moving_slots()), slots,
                     SettledWhen(settling));
}

}  // namespace shunt::ctl

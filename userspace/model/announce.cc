// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/announce.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace shunt {
namespace {

constexpr uint32_t kHysteresisPercent = 10;
constexpr uint32_t kWholePercent = 100;

std::string Text(AnnounceState state) { return std::string(ToString(state)); }
std::string Text(StepDown step) { return std::string(ToString(step)); }
std::string Text(bool yes) { return yes ? "true" : "false"; }
std::string Text(uint32_t number) { return std::to_string(number); }
std::string Text(const Prefix& prefix) { return prefix.ToString(); }
std::string Text(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, " "));
}

template <auto kField>
std::string TextOf(const AnnounceSettings& settings) {
  const auto& value = settings.*kField;
  return value ? Text(*value) : std::string();
}

}  // namespace

std::string_view ToString(AnnounceState state) { return state == AnnounceState::kUp ? "up" : "down"; }
std::string_view ToString(StepDown step) { return step == StepDown::kWithdraw ? "withdraw" : "lower"; }

AnnouncePolicy PolicyOf(const AnnounceSettings& defaults, const AnnounceSettings& vip, const IpAddress& address) {
  AnnouncePolicy policy;
  const auto take = [&](auto field, auto& value) {
    if (vip.*field) {
      value = *(vip.*field);
    } else if (defaults.*field) {
      value = *(defaults.*field);
    }
  };
  using S = AnnounceSettings;
  take(&S::state, policy.state);
  take(&S::min_reals, policy.min_reals);
  take(&S::min_percent, policy.min_percent);
  policy.return_reals = policy.min_reals;
  policy.return_percent =
      policy.min_percent == 0 ? 0 : std::min(policy.min_percent + kHysteresisPercent, kWholePercent);
  take(&S::return_reals, policy.return_reals);
  take(&S::return_percent, policy.return_percent);
  take(&S::on_unhealthy, policy.on_unhealthy);
  take(&S::on_drain, policy.on_drain);
  take(&S::required, policy.required);
  take(&S::preference, policy.preference);
  policy.prefix = {.address = address, .length = AddressBits(address.family())};
  take(&S::prefix, policy.prefix);
  take(&S::hold_seconds, policy.hold_seconds);
  take(&S::max_hold_seconds, policy.max_hold_seconds);
  // One of the two may be the VIP's, the other the defaults'.
  policy.return_reals = std::max(policy.return_reals, policy.min_reals);
  policy.return_percent = std::max(policy.return_percent, policy.min_percent);
  policy.max_hold_seconds = std::max(policy.max_hold_seconds, policy.hold_seconds);
  take(&S::communities, policy.communities);
  return policy;
}

const std::vector<AnnounceField>& AnnounceFields() {
  using S = AnnounceSettings;
  static const std::vector<AnnounceField> kFields = {
      {"state", TextOf<&S::state>},
      {"min_reals", TextOf<&S::min_reals>},
      {"min_percent", TextOf<&S::min_percent>},
      {"return_reals", TextOf<&S::return_reals>},
      {"return_percent", TextOf<&S::return_percent>},
      {"on_unhealthy", TextOf<&S::on_unhealthy>},
      {"on_drain", TextOf<&S::on_drain>},
      {"required", TextOf<&S::required>},
      {"preference", TextOf<&S::preference>},
      {"prefix", TextOf<&S::prefix>},
      {"hold_seconds", TextOf<&S::hold_seconds>},
      {"max_hold_seconds", TextOf<&S::max_hold_seconds>},
      {"communities", TextOf<&S::communities>},
  };
  return kFields;
}

}  // namespace shunt

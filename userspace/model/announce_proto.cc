// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/announce_proto.h"

#include <utility>

#include "userspace/model/enum_proto.h"

namespace shunt {
namespace {

using Problems = std::vector<Problem>;

constexpr std::pair<AnnounceState, v1::AnnounceState> kStates[] = {
    {AnnounceState::kUp, v1::ANNOUNCE_STATE_UP},
    {AnnounceState::kDown, v1::ANNOUNCE_STATE_DOWN},
};
constexpr std::pair<StepDown, v1::StepDown> kSteps[] = {
    {StepDown::kWithdraw, v1::STEP_DOWN_WITHDRAW},
    {StepDown::kLower, v1::STEP_DOWN_LOWER},
};

std::optional<Prefix> PrefixFrom(const std::string& text, const std::string& path, Problems& problems) {
  if (text.empty()) return std::nullopt;
  const auto prefix = Prefix::Parse(text);
  if (prefix) return *prefix;
  problems.push_back({path + ".prefix", prefix.error().message});
  return std::nullopt;
}

}  // namespace

void FromProto(const v1::Announce& message, const std::string& path, AnnounceSettings& settings, Problems& problems) {
  if (message.has_state()) settings.state = ValueOf(kStates, message.state(), path + ".state", problems);
  if (message.has_min_reals()) settings.min_reals = message.min_reals();
  if (message.has_min_percent()) settings.min_percent = message.min_percent();
  if (message.has_return_reals()) settings.return_reals = message.return_reals();
  if (message.has_return_percent()) settings.return_percent = message.return_percent();
  if (message.has_on_unhealthy()) {
    settings.on_unhealthy = ValueOf(kSteps, message.on_unhealthy(), path + ".on_unhealthy", problems);
  }
  if (message.has_on_drain()) settings.on_drain = ValueOf(kSteps, message.on_drain(), path + ".on_drain", problems);
  if (message.has_required()) settings.required = message.required();
  if (message.has_preference()) settings.preference = message.preference();
  if (message.has_prefix()) settings.prefix = PrefixFrom(message.prefix(), path, problems);
  if (message.has_hold_seconds()) settings.hold_seconds = message.hold_seconds();
  if (message.has_max_hold_seconds()) settings.max_hold_seconds = message.max_hold_seconds();
  if (message.communities_size() == 1 && message.communities(0).empty()) {
    settings.communities.reset();
  } else if (message.communities_size() > 0) {
    settings.communities.emplace(message.communities().begin(), message.communities().end());
  }
}

v1::Announce ToProto(const AnnounceSettings& settings) {
  v1::Announce message;
  if (settings.state) message.set_state(MessageOf(kStates, *settings.state));
  if (settings.min_reals) message.set_min_reals(*settings.min_reals);
  if (settings.min_percent) message.set_min_percent(*settings.min_percent);
  if (settings.return_reals) message.set_return_reals(*settings.return_reals);
  if (settings.return_percent) message.set_return_percent(*settings.return_percent);
  if (settings.on_unhealthy) message.set_on_unhealthy(MessageOf(kSteps, *settings.on_unhealthy));
  if (settings.on_drain) message.set_on_drain(MessageOf(kSteps, *settings.on_drain));
  if (settings.required) message.set_required(*settings.required);
  if (settings.preference) message.set_preference(*settings.preference);
  if (settings.prefix) message.set_prefix(settings.prefix->ToString());
  if (settings.hold_seconds) message.set_hold_seconds(*settings.hold_seconds);
  if (settings.max_hold_seconds) message.set_max_hold_seconds(*settings.max_hold_seconds);
  if (settings.communities)
    message.mutable_communities()->Add(settings.communities->begin(), settings.communities->end());
  return message;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The daemon's answers for programs. Keys keep their names and meanings from version to version; new ones may come.
// Pure. Not here: the same for people (format.h).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "userspace/model/desired_state.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt::ctl {

using Json = nlohmann::ordered_json;

std::string ToText(const Json& json);  // indented, with a newline
std::string ToLine(const Json& json);  // one line, with a newline

Json ToJson(const v1::ChangeReply& reply, bool dry_run);
Json ToJson(const v1::State& state);
Json ToJson(const v1::VipState& vip);
Json RealsToJson(const v1::State& state);  // of all VIPs, each with its VIP
Json StatsToJson(const v1::State& state);
Json RatesToJson(const v1::State& before, const v1::State& state, double seconds);
Json ToJson(const v1::Verdicts& verdicts);
Json ToJson(const v1::Flows& flows);
Json ToJson(const v1::Explanation& explanation);
Json ToJson(const v1::HealthState& state);
Json ToJson(const v1::Event& event);
Json ToJson(const v1::Generations& generations);
Json ToJson(const v1::Differences& differences);
Json UnconfirmedOrNull(bool waits, const v1::Unconfirmed& unconfirmed);
// The store's keys, as in YAML; `apply` reads it too, since JSON is YAML.
Json ToJson(const v1::Config& config);

}  // namespace shunt::ctl

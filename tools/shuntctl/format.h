// SPDX-License-Identifier: Apache-2.0
// The daemon's answers as text for people. Pure. Not here: the same for programs (json.h).
#pragma once

#include <string>
#include <string_view>

#include "userspace/rpc/shunt.pb.h"

namespace shunt::ctl {

std::string_view Name(v1::Tracking tracking);  // "moving", "all", "none"
std::string_view Name(v1::RealState state);    // "active", "drain"

std::string FormatChanges(const v1::ChangeReply& reply, bool colour);  // "no changes" when there are none

// This host and its interfaces, a line each.
std::string FormatHost(const v1::State& state, bool colour);
// The same, then VIPs with their reals, each VIP a block; of the slots only those that have not settled.
std::string FormatOverview(const v1::State& state, bool colour);
// One VIP with all that is known of it.
std::string FormatVip(const v1::VipState& vip, bool colour);
std::string FormatVipList(const v1::State& state, bool colour);
std::string FormatRealList(const v1::State& state, bool colour);

// Flows and counters per VIP and real; with `before`, taken `seconds` earlier, also what came in per second since.
std::string FormatStats(const v1::State& state, bool colour);
std::string FormatRates(const v1::State& before, const v1::State& state, double seconds, bool colour);

// Verdicts that were counted, or with `all` every one, and their sum.
std::string FormatVerdicts(const v1::Verdicts& verdicts, bool all, bool colour);
std::string FormatFlows(const v1::Flows& flows, bool colour);
std::string FormatExplanation(const v1::Explanation& explanation, bool colour);

// The counter's growth per second; 0 if it started anew in between.
double PerSecond(uint64_t before, uint64_t now, double seconds);

// The VIP's and the real's counters in an earlier state; zeros if it had none.
const v1::Traffic& TrafficOf(const v1::State& state, const std::string& vip);
const v1::Traffic& TrafficOf(const v1::State& state, const std::string& vip, const std::string& real);

}  // namespace shunt::ctl

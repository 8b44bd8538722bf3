// SPDX-License-Identifier: Apache-2.0
// How far a VIP's moved slots have settled, in words for people. Pure. Not here: what the states mean
// (control/tracking.md), the tables around the words (format.h).
#pragma once

#include <cstdint>
#include <string>

#include "userspace/rpc/shunt.pb.h"

namespace shunt::ctl {

std::string Duration(uint64_t seconds);  // "40 s", "9 min 40 s", "1 h 5 min"

// No slot moves, and none has exceptions.
bool IsSettled(const v1::Settling& settling);

// When the last slot will have settled: "settled", "in 9 min 40 s if nothing else changes".
std::string SettledWhen(const v1::Settling& settling);

// One line for a VIP that is not settled: "5,000 of 65,537 slots are moving; settled in …".
std::string UnsettledLine(const v1::Settling& settling);

}  // namespace shunt::ctl

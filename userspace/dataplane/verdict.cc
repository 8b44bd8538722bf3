// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/verdict.h"

#include <shunt/abi_verdicts.h>

#include <array>

namespace shunt {
namespace {

#define SHUNT_VERDICT_INFO(name, action, sentence) VerdictInfo{VERDICT_##name, #name, "XDP_" #action, sentence},
constexpr std::array kVerdicts{SHUNT_VERDICTS(SHUNT_VERDICT_INFO)};
#undef SHUNT_VERDICT_INFO

}  // namespace

std::span<const VerdictInfo> AllVerdicts() { return kVerdicts; }

const VerdictInfo& VerdictOf(uint32_t number) { return kVerdicts.at(number - 1); }

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The verdict list in C++: names, actions and sentences, made from the ABI's one list.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace shunt {

struct VerdictInfo {
  uint32_t number = 0;        // enum verdict
  std::string_view name;      // "TX_ENCAPSULATED"
  std::string_view action;    // "XDP_TX"
  std::string_view sentence;  // for people
};

// Every verdict in the order of the ABI; CONTINUE is not one.
std::span<const VerdictInfo> AllVerdicts();

// `number` must be one of AllVerdicts().
const VerdictInfo& VerdictOf(uint32_t number);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Generations of the store, as text for people, and the words of a command line that are about them. Pure.
// Not here: the same for programs (json.h).
#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstdint>
#include <string>

#include "tools/shuntctl/words.h"
#include "userspace/rpc/shunt.pb.h"

namespace CLI {
class App;
}

namespace shunt::ctl {

// What every change prints with -o json.
inline constexpr const char* kChangeJson =
    R"({"changes": ["+ vip …", "~ real …"], "warnings": ["…"], "dry_run": true, "generation": 12,
   "unconfirmed": null | {"back_to", "seconds_left"}})";

std::string FormatGenerations(const v1::Generations& generations, bool colour);
// Lines of differences; "no changes" when there are none.
std::string FormatChangeLines(const google::protobuf::RepeatedPtrField<std::string>& changes, bool colour);
// "back to generation 11 in 42 s, unless: shuntctl confirm"
std::string UnconfirmedWords(const v1::Unconfirmed& unconfirmed);

uint64_t GenerationNumber(Words& words, const std::string& text);
uint32_t ConfirmSeconds(Words& words, const std::string& text);  // 0: not given
void AddConfirmOption(CLI::App& verb, std::string& text);

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
// Our enums and their messages' as tables of pairs, read both ways. Pure. Called by the *_proto.cc files, which have
// the tables.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "userspace/model/validate.h"

namespace shunt {

// A value of an enum that some later version may know.
inline void AddUnknownValue(int value, const std::string& path, std::vector<Problem>& problems) {
  problems.push_back({path, fmt::format("value {} is unknown to this version", value)});
}

template <class Value, class Message, size_t kSize>
Message MessageOf(const std::pair<Value, Message> (&table)[kSize], Value value) {
  for (const auto& [ours, theirs] : table) {
    if (ours == value) return theirs;
  }
  return Message{};
}

// Unspecified is unset. Messages keep numbers that this version has no name for.
template <class Value, class Message, size_t kSize>
std::optional<Value> ValueOf(const std::pair<Value, Message> (&table)[kSize], Message message, const std::string& path,
                             std::vector<Problem>& problems) {
  for (const auto& [ours, theirs] : table) {
    if (theirs == message) return ours;
  }
  if (message != Message{}) AddUnknownValue(message, path, problems);
  return std::nullopt;
}

}  // namespace shunt

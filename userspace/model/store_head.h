// SPDX-License-Identifier: Apache-2.0
// The head comment of a store that is kept: lines of "# key: value" that people read, and shuntd again. What cannot be
// read in it is not there: anybody may have edited the file. Pure. Not here: which keys there are (store_history.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace shunt {

using WallTime = std::chrono::sys_seconds;  // UTC

WallTime WallNow();
std::string ToText(WallTime time);                             // 2026-11-27T09:48:18Z
std::optional<WallTime> ParseWallTime(std::string_view text);  // of this form, years 1970 to 9999

inline constexpr size_t kMaxHeadBytes = 4096;
inline constexpr size_t kMaxHeadValueBytes = 300;

class StoreHead {
 public:
  // A sentence that is only for people.
  explicit StoreHead(std::string_view sentence);
  void Add(std::string_view key, std::string_view value);  // one line of printable characters, cut when it is long
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// The keys of the comment that `text` begins with; of a key that stands twice the first.
std::map<std::string, std::string, std::less<>> ReadStoreHead(std::string_view text);
std::optional<uint64_t> ReadNumber(std::string_view text);  // decimal digits only

}  // namespace shunt

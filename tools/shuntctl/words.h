// SPDX-License-Identifier: Apache-2.0
// The words of a command line as values. What cannot be is collected, so that all of it is told at once. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"

namespace CLI {
class App;
}

namespace shunt::ctl {

class Words {
 public:
  // Each returns the value, or a default one after noting what is wrong. `option` is how the user wrote it.
  template <class T>
  T Read(const Result<T>& parsed) {
    if (parsed) return *parsed;
    Note(parsed.error().message);
    return T{};
  }
  uint32_t Number(const char* option, const std::string& text, uint32_t min, uint32_t max);
  double Decimal(const char* option, const std::string& text, double min, double max);
  // A time with its unit: 500ms, 2s, 10m, 1h.
  uint32_t Milliseconds(const char* option, const std::string& text, uint32_t min, uint32_t max);
  uint32_t Seconds(const char* option, const std::string& text, uint32_t min, uint32_t max);
  // The position of `text` in `choices`.
  size_t Choice(const char* option, const std::string& text, const std::vector<std::string>& choices);

  void Note(std::string problem);
  Status status() const;  // kInvalid with a line per problem

 private:
  // A time with its unit, as a multiple of `unit_ms`.
  uint32_t Time(const char* option, const std::string& text, uint32_t min, uint32_t max, uint32_t unit_ms);

  std::string problems_;
};

// A canonical text of a VIP or an address (2001:DB8::0 becomes 2001:db8::).
std::string VipText(Words& words, const std::string& text);
std::string AddressText(Words& words, const std::string& text);

// Reads a whole file; `-` is stdin.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes);

// A flag that may be given either way, e.g. "--quic,!--no-quic", or not at all. (CLI11's own for an optional takes it
// for a count, and sets it to 0 where the flag is absent.)
void AddSwitch(CLI::App& verb, const char* names, std::optional<bool>& value, const char* description);

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/words.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <string_view>

#include "userspace/base/text.h"
#include "userspace/base/unique_fd.h"
#include "userspace/net/address.h"
#include "userspace/net/endpoint.h"

namespace shunt::ctl {
namespace {

struct TimeUnit {
  std::string_view name;
  uint32_t ms;
};
constexpr TimeUnit kTimeUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

}  // namespace

uint32_t Words::Number(const char* option, const std::string& text, uint32_t min, uint32_t max) {
  const auto number = ParseDecimal(text, max);
  if (number && *number >= min) return *number;
  Note(fmt::format("{} {}: expected a whole number from {} to {}", option, Quote(text), min, max));
  return min;
}

double Words::Decimal(const char* option, const std::string& text, double min, double max) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error == std::errc() && stop == end && number >= min && number <= max) return number;
  Note(fmt::format("{} {}: expected a number from {} to {}", option, Quote(text), min, max));
  return min;
}

uint32_t Words::Time(const char* option, const std::string& text, uint32_t min, uint32_t max, uint32_t unit_ms) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = ParseDecimal(text.substr(0, digits), std::numeric_limits<uint32_t>::max());
  const auto unit = std::ranges::find(kTimeUnits, std::string_view(text).substr(digits), &TimeUnit::name);
  if (number && unit != std::end(kTimeUnits)) {
    const uint64_t time_ms = uint64_t{*number} * unit->ms;
    const uint64_t time = time_ms / unit_ms;
    if (time_ms % unit_ms == 0 && time >= min && time <= max) return static_cast<uint32_t>(time);
  }
  const char* name = unit_ms == 1 ? "ms" : "s";
  Note(fmt::format("{} {}: expected a time with its unit, such as {}, from {}{} to {}{}", option, Quote(text),
                   unit_ms == 1 ? "500ms or 2s" : "30s or 5m", min, name, max, name));
  return min;
}

uint32_t Words::Milliseconds(const char* option, const std::string& text, uint32_t min, uint32_t max) {
  return Time(option, text, min, max, 1);
}

uint32_t Words::Seconds(const char* option, const std::string& text, uint32_t min, uint32_t max) {
  return Time(option, text, min, max, 1000);
}

size_t Words::Choice(const char* option, const std::string& text, const std::vector<std::string>& choices) {
  const auto found = std::ranges::find(choices, text);
  if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
  Note(fmt::format("{} {}: expected one of {}", option, Quote(text), fmt::join(choices, ", ")));
  return 0;
}

void Words::Note(std::string problem) { problems_ += (problems_.empty() ? "" : "\n") + std::move(problem); }

Status Words::status() const {
  if (problems_.empty()) return {};
  return Fail(ErrorKind::kInvalid, problems_);
}

std::string VipText(Words& words, const std::string& text) { return words.Read(VipKey::Parse(text)).ToString(); }

std::string AddressText(Words& words, const std::string& text) { return words.Read(IpAddress::Parse(text)).ToString(); }

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const bool is_stdin = path == "-";
  const UniqueFd file(is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // A file that cannot be read is the user's input, as much as one that reads wrong.
  const auto fail = [&] {
    return Fail(ErrorKind::kInvalid, FailErrno(fmt::format("reading {}", path), errno).error().message);
  };
  if (!file.valid()) return fail();
  std::string text;
  for (;;) {
    char block[65536];
    const ssize_t got = read(file.get(), block, sizeof(block));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail();
    if (got == 0) return text;
    text.append(block, static_cast<size_t>(got));
    if (text.size() > max_bytes) {
      return Fail(ErrorKind::kInvalid, fmt::format("reading {}: longer than {} bytes", path, max_bytes));
    }
  }
}

void AddSwitch(CLI::App& verb, const char* names, std::optional<bool>& value, const char* description) {
  verb.add_flag_function(names, [&value](int64_t count) { value = count > 0; }, description);
}

}  // namespace shunt::ctl

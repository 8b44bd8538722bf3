// SPDX-License-Identifier: Apache-2.0
#include "userspace/bgp/arrival_check.h"

#include <fmt/format.h>

namespace shunt {
namespace {

// Some may have come before the one count and after the other.
constexpr uint64_t kEnoughToTell = 10;

}  // namespace

std::string ArrivalCheck::Note(const std::map<std::string, uint64_t>& received, uint64_t verdicts) {
  std::string problem;
  const uint64_t counted = verdicts - verdicts_;
  for (const auto& [name, now] : received) {
    const auto before = received_.find(name);
    if (!begun_ || before == received_.end() || now < before->second || verdicts < verdicts_) continue;
    const uint64_t came = now - before->second;
    if (came >= kEnoughToTell && counted == 0 && problem.empty())
      problem = fmt::format("{} packets came in by {}, and the program saw none", came, name);
  }
  received_ = received;
  verdicts_ = verdicts;
  begun_ = true;
  return problem;
}

}  // namespace shunt

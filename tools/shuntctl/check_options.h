// SPDX-License-Identifier: Apache-2.0
// The options of a VIP's health check, --check and --check-*, for `vip add` and `vip set`. Pure.
// Not here: which of them go together (the daemon says, model/validate_health.cc).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/shuntctl/value_options.h"
#include "tools/shuntctl/words.h"
#include "userspace/model/config.pb.h"

namespace shunt::ctl {

// What stood on the command line.
struct CheckWords {
  static constexpr size_t kOptions = 26;
  OptionValues<kOptions> values;
  std::vector<std::string> command;
  std::optional<bool> tls;
  std::optional<bool> verify;
};

void AddCheckOptions(CLI::App& verb, CheckWords& words);

// Nothing if no option of the check stood there.
std::optional<v1::HealthCheck> CheckOf(const CheckWords& given, Words& words);

}  // namespace shunt::ctl

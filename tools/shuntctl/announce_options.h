// SPDX-License-Identifier: Apache-2.0
// The options of a VIP's announcement for `vip add` and `vip set`. Pure. Not here: which of them go together (the
// daemon says, model/validate_announce.cc).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/shuntctl/value_options.h"
#include "tools/shuntctl/words.h"
#include "userspace/model/config.pb.h"

namespace shunt::ctl {

// What stood on the command line.
struct AnnounceWords {
  static constexpr size_t kOptions = 11;
  OptionValues<kOptions> values;
  std::vector<std::string> communities;
  std::optional<bool> required;
};

void AddAnnounceOptions(CLI::App& verb, AnnounceWords& words);

// Nothing if no option of the announcement stood there.
std::optional<v1::Announce> AnnounceOf(const AnnounceWords& given, Words& words);

}  // namespace shunt::ctl

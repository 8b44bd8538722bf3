// SPDX-License-Identifier: Apache-2.0
// A table of options that each take a value and put it into a message: a VIP's check, its announcement. Pure. Not here:
// the tables (check_options.cc, announce_options.cc).
#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <optional>
#include <span>
#include <string>

#include "tools/shuntctl/words.h"

namespace shunt::ctl {

template <class Message>
struct ValueOption {
  const char* name;
  const char* type;
  const char* help;
  void (*set)(Words& words, const char* name, const std::string& text, Message& message);
};

// What stood on the command line, in the order of the options.
template <size_t kOptions>
using OptionValues = std::array<std::optional<std::string>, kOptions>;

template <class Message, size_t kOptions>
void AddValueOptions(CLI::App& verb, const ValueOption<Message> (&options)[kOptions], OptionValues<kOptions>& values) {
  for (size_t i = 0; i < kOptions; ++i) {
    verb.add_option(options[i].name, values[i], options[i].help)->type_name(options[i].type);
  }
}

// Whether any of them stood there.
template <class Message, size_t kOptions>
bool SetValues(const ValueOption<Message> (&options)[kOptions], const OptionValues<kOptions>& values, Words& words,
               Message& message) {
  bool any = false;
  for (size_t i = 0; i < kOptions; ++i) {
    if (!values[i]) continue;
    options[i].set(words, options[i].name, *values[i], message);
    any = true;
  }
  return any;
}

}  // namespace shunt::ctl

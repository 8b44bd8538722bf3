// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/history_format.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>

#include "tools/shuntctl/settling.h"
#include "tools/shuntctl/table.h"
#include "userspace/base/text.h"
#include "userspace/control/pending_confirmation.h"
#include "userspace/model/store_history.h"

namespace shunt::ctl {
namespace {

std::string SinceText(const v1::Generation& generation) {
  if (!generation.has_since_s()) return "-";
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(generation.since_s())));
}

std::string ChangeText(const v1::Generation& generation) {
  if (!generation.has_changes() || generation.first_change().empty()) return "-";
  if (generation.changes() <= 1) return generation.first_change();
  return fmt::format("{} and {} more", generation.first_change(), Grouped(generation.changes() - 1));
}

}  // namespace

std::string FormatChangeLines(const google::protobuf::RepeatedPtrField<std::string>& changes, bool colour) {
  if (changes.empty()) return "no changes\n";
  std::string out;
  for (const std::string& change : changes) {
    const Style style = change.starts_with('+') ? Style::kGood : change.starts_with('-') ? Style::kBad : Style::kPlain;
    out += Styled(change, style, colour) + '\n';
  }
  return out;
}

std::string UnconfirmedWords(const v1::Unconfirmed& unconfirmed) {
  return fmt::format("back to generation {} in {}, unless: shuntctl confirm", unconfirmed.back_to(),
                     Duration(unconfirmed.seconds_left()));
}

std::string FormatGenerations(const v1::Generations& generations, bool colour) {
  Table table({{"GENERATION", Table::Align::kRight}, {"SINCE"}, {"BY"}, {"CHANGED"}});
  for (const v1::Generation& generation : generations.generations()) {
    const bool is_in_force = generation.number() == generations.in_force();
    table.Add({{std::to_string(generation.number()), is_in_force ? Style::kBold : Style::kPlain},
               SinceText(generation),
               generation.by().empty() ? "-" : generation.by(),
               ChangeText(generation)});
  }
  std::string out = table.Render(colour);
  if (generations.has_unconfirmed()) {
    out += Styled(fmt::format("generation {} waits to be confirmed: {}", generations.in_force(),
                              UnconfirmedWords(generations.unconfirmed())),
                  Style::kBad, colour) +
           '\n';
  }
  return out;
}

uint64_t GenerationNumber(Words& words, const std::string& text) {
  const auto number = ReadNumber(text);
  if (number && *number >= 1 && *number <= kMaxGeneration) return *number;
  words.Note(fmt::format("generation {}: expected a number from 1 to {}; what there is: shuntctl history", Quote(text),
                         kMaxGeneration));
  return 1;
}

uint32_t ConfirmSeconds(Words& words, const std::string& text) {
  if (text.empty()) return 0;
  return words.Seconds("--confirm", text, static_cast<uint32_t>(kMinConfirmWithin.count()),
                       static_cast<uint32_t>(kMaxConfirmWithin.count()));
}

void AddConfirmOption(CLI::App& verb, std::string& text) {
  verb.add_option("--confirm", text,
                  "go back by itself after this time (60s, 5m; 1s to 24h) unless shuntctl confirm comes, also after a "
                  "restart; until then every other change is refused")
      ->type_name("TIME");
}

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/announce_options.h"

#include <CLI/CLI.hpp>
#include <iterator>

#include "userspace/model/announce.h"
#include "userspace/model/desired_state.h"

namespace shunt::ctl {
namespace {

using Announce = v1::Announce;

constexpr uint32_t kPercent = 100;

// The positions of the names are the numbers of the enums; `default` is unspecified.
v1::StepDown StepOf(Words& words, const char* name, const std::string& text) {
  return static_cast<v1::StepDown>(words.Choice(name, text, {"default", "withdraw", "lower"}));
}

// In the order of --help.
constexpr ValueOption<Announce> kOptions[] = {
    {"--announce", "up|down|default", "down: never announced, whatever its health",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_state(static_cast<v1::AnnounceState>(words.Choice(name, text, {"default", "up", "down"})));
     }},
    {"--min-reals", "N", "not announced with fewer healthy reals; 0: also with none",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_min_reals(words.Number(name, text, 0, kMaxRealsPerVip));
     }},
    {"--min-percent", "PERCENT", "not announced when less of the weight is healthy",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_min_percent(words.Number(name, text, 0, kPercent));
     }},
    {"--return-reals", "N", "announced again with so many healthy reals; default: --min-reals",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_return_reals(words.Number(name, text, 0, kMaxRealsPerVip));
     }},
    {"--return-percent", "PERCENT", "announced again with so much; default: 10 more than --min-percent",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_return_percent(words.Number(name, text, 0, kPercent));
     }},
    {"--on-unhealthy", "withdraw|lower|default", "with too few healthy reals: withdraw it, or make it less preferred",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_on_unhealthy(StepOf(words, name, text));
     }},
    {"--on-drain", "withdraw|lower|default", "the same when the host drains",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_on_drain(StepOf(words, name, text));
     }},
    {"--preference", "N", "1 to 999, the less the more preferred: the metric of its route",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_preference(words.Number(name, text, kMinPreference, kMaxPreference));
     }},
    {"--prefix", "PREFIX", "what is announced, and holds the VIP; default: its address alone",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       if (text == "default") return announce.set_prefix("");
       const auto prefix = Prefix::Parse(text);
       if (!prefix) return words.Note(std::string(name) + ": " + prefix.error().message);
       announce.set_prefix(prefix->ToString());
     }},
    {"--hold", "TIME", "from a loss to the next announcement, doubled by each that follows soon; e.g. 5s",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_hold_seconds(words.Seconds(name, text, 0, kMaxHoldSeconds));
     }},
    {"--max-hold", "TIME", "up to this",
     [](Words& words, const char* name, const std::string& text, Announce& announce) {
       announce.set_max_hold_seconds(words.Seconds(name, text, 0, kMaxHoldSeconds));
     }},
};

}  // namespace

void AddAnnounceOptions(CLI::App& verb, AnnounceWords& words) {
  AddValueOptions(verb, kOptions, words.values);
  AddSwitch(verb, "--required,!--no-required", words.required,
            "the prefix of several VIPs is announced only while this one may be");
  verb.add_option("--community", words.communities,
                  "that the speaker adds, 64512:100 or 64512:1:2; once for each; in place of those it has")
      ->allow_extra_args(false)
      ->type_name("COMMUNITY|default");
}

std::optional<v1::Announce> AnnounceOf(const AnnounceWords& given, Words& words) {
  Announce announce;
  const bool any = SetValues(kOptions, given.values, words, announce) || given.required || !given.communities.empty();
  if (given.required) announce.set_required(*given.required);
  for (const std::string& community : given.communities)
    announce.add_communities(community == "default" ? "" : community);
  return any ? std::optional(announce) : std::nullopt;
}

}  // namespace shunt::ctl

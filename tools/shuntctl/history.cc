// SPDX-License-Identifier: Apache-2.0
// shuntctl history [-n N] · diff N [M]
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/history_format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/model/store_history.h"

namespace shunt::ctl {
namespace {

constexpr const char* kHistoryJson =
    R"({"generations": [{"number", "since_s", "by", "changes", "first_change"}], "in_force",
   "unconfirmed": null | {"back_to", "seconds_left"}}
  since_s: seconds since 1970; null: not known)";

struct HistoryWords {
  std::string count;
  std::string from;
  std::string to;
};

Status History(const Session& session, const HistoryWords& given) {
  Words words;
  v1::ListGenerationsRequest request;
  if (!given.count.empty()) request.set_limit(words.Number("-n", given.count, 1, kMaxKeptGenerations + 1));
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto generations = (*client)->ListGenerations(request);
  if (!generations) return std::unexpected(generations.error());
  Print(session.json() ? ToText(ToJson(*generations)) : FormatGenerations(*generations, session.colour));
  return {};
}

Status ShowDifferences(const Session& session, const HistoryWords& given) {
  Words words;
  v1::DiffGenerationsRequest request;
  request.set_from(GenerationNumber(words, given.from));
  if (!given.to.empty()) request.set_to(GenerationNumber(words, given.to));
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto differences = (*client)->DiffGenerations(request);
  if (!differences) return std::unexpected(differences.error());
  Print(session.json() ? ToText(ToJson(*differences)) : FormatChangeLines(differences->changes(), session.colour));
  return {};
}

}  // namespace

void AddHistory(CLI::App& app, Session& session) {
  const auto words = std::make_shared<HistoryWords>();
  CLI::App& history =
      *AddVerb(app, session,
               {"history",
                "The generations of the store that are kept, the one in force last: since when, by whom, what changed",
                "shuntctl history -n 10", kHistoryJson},
               [&session, words] { return History(session, *words); });
  history.add_option("-n,--number", words->count, "only the newest so many")->type_name("N");
  CLI::App& diff = *AddVerb(
      app, session,
      {"diff", "What going from generation N to generation M changes; without M: what changed since N, up to now",
       "shuntctl diff 12", R"({"from", "to", "changes": ["+ vip …", "~ real …"]})"},
      [&session, words] { return ShowDifferences(session, *words); });
  diff.add_option("N", words->from, "the generation before")->required()->type_name("");
  diff.add_option("M", words->to, "the generation after; without it the one in force")->type_name("");
}

}  // namespace shunt::ctl

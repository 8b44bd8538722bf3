// SPDX-License-Identifier: Apache-2.0
// shuntctl verdicts [--all]
#include <CLI/CLI.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"

namespace shunt::ctl {
namespace {

Status Verdicts(const Session& session, bool all) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto verdicts = (*client)->GetVerdicts();
  if (!verdicts) return std::unexpected(verdicts.error());
  Print(session.json() ? ToText(ToJson(*verdicts)) : FormatVerdicts(*verdicts, all, session.colour));
  return {};
}

}  // namespace

void AddVerdicts(CLI::App& app, Session& session) {
  const auto all = std::make_shared<bool>(false);
  CLI::App& verb = *AddVerb(
      app, session,
      {"verdicts", "How packets ended: every verdict that was counted, and what it means", "shuntctl verdicts --all",
       R"({"verdicts": [{"verdict", "action", "sentence", "packets", "bytes"}],
   "total": {"packets", "bytes"}}; always all of them)"},
      [&session, all] { return Verdicts(session, *all); });
  verb.add_flag("--all", *all, "also those that were never counted");
}

}  // namespace shunt::ctl

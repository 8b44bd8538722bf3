// SPDX-License-Identifier: Apache-2.0
// shuntctl rollback N [--dry-run] [--confirm=TIME] · confirm · reload
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/history_format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"

namespace shunt::ctl {
namespace {

struct RollbackWords {
  std::string generation;
  std::string confirm;
  bool dry_run = false;
};

Status Rollback(const Session& session, const RollbackWords& given) {
  Words words;
  v1::RollbackRequest request;
  request.set_generation(GenerationNumber(words, given.generation));
  request.set_dry_run(given.dry_run);
  request.set_confirm_seconds(ConfirmSeconds(words, given.confirm));
  if (const auto status = words.status(); !status) return status;
  return PrintChange(session, [&](Client& client) { return client.Rollback(request); }, given.dry_run);
}

Status Confirm(const Session& session) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto reply = (*client)->Confirm();
  if (!reply) return std::unexpected(reply.error());
  Print(session.json() ? ToText({{"generation", reply->generation()}})
                       : fmt::format("generation {} is confirmed\n", reply->generation()));
  return {};
}

}  // namespace

void AddRollback(CLI::App& app, Session& session) {
  const auto words = std::make_shared<RollbackWords>();
  CLI::App& rollback = *AddVerb(
      app, session,
      {"rollback", "Make the whole state be as in an older generation; that becomes a new one; prints the differences",
       "shuntctl rollback 12 --dry-run", kChangeJson},
      [&session, words] { return Rollback(session, *words); });
  rollback.add_option("N", words->generation, "the generation: shuntctl history")->required()->type_name("");
  rollback.add_flag("--dry-run", words->dry_run, "print the differences, change nothing");
  AddConfirmOption(rollback, words->confirm);
  AddVerb(app, session,
          {"confirm", "Keep the change that waits to be confirmed (apply --confirm, rollback --confirm)",
           "shuntctl confirm", R"({"generation": 13})"},
          [&session] { return Confirm(session); });
  AddVerb(app, session,
          {"reload", "Let shuntd read its store again, which was edited, as SIGHUP does; prints the differences",
           "shuntctl reload", kChangeJson},
          [&session] { return PrintChange(session, [](Client& client) { return client.Reload(); }); });
}

}  // namespace shunt::ctl

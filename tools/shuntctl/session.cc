// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/session.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/history_format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/words.h"

namespace shunt::ctl {

CLI::App* AddVerb(CLI::App& parent, Session& session, const VerbText& text, std::function<Status()> action) {
  CLI::App* verb = parent.add_subcommand(text.name, text.description);
  std::string footer = fmt::format("Example:\n  {}\n", text.example);
  if (text.json != nullptr) footer += fmt::format("\nWith -o json:\n  {}\n", text.json);
  footer += "\nOptions of every verb (-o table|json, --socket=PATH, --address=…) and exit statuses: shuntctl --help\n";
  verb->footer(footer);
  verb->fallthrough();   // -o and --socket may stand behind the verb
  verb->allow_extras();  // main.cc names them, with what is possible
  verb->callback([verb, &session, action = std::move(action)] {
    if (verb->get_subcommands().empty()) session.action = action;  // else the one below it is meant
  });
  return verb;
}

CLI::App* AddGroup(CLI::App& parent, const char* name, const char* description) {
  CLI::App* group = parent.add_subcommand(name, description);
  group->footer("Every verb has --help, with an example.\n");  // in place of shuntctl's own, which it would inherit
  group->fallthrough();
  group->allow_extras();
  return group;
}

Result<std::unique_ptr<Client>> Connect(const Session& session) {
  return session.tls.address.empty() ? Client::Connect(session.socket) : Client::ConnectTls(session.tls);
}

Result<v1::State> GetState(const Session& session) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  return (*client)->GetState();
}

Result<v1::State> StateOf(const Session& session, const std::string& vip) {
  Words words;
  const std::string name = VipText(words, vip);
  if (const auto status = words.status(); !status) return std::unexpected(status.error());
  auto state = GetState(session);
  if (!state) return state;
  for (v1::VipState& row : *state->mutable_vips()) {
    if (row.vip() != name) continue;
    v1::State one;
    *one.add_vips() = std::move(row);
    return one;
  }
  return Fail(ErrorKind::kNotFound, fmt::format("no VIP {}; what there is: shuntctl vip list", name));
}

Status PrintChange(const Session& session, const std::function<Result<v1::ChangeReply>(Client&)>& call, bool dry_run) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto reply = call(**client);
  if (!reply) return std::unexpected(reply.error());
  Print(session.json() ? ToText(ToJson(*reply, dry_run)) : FormatChanges(*reply, session.colour));
  if (session.json()) return {};
  for (const std::string& warning : reply->warnings()) Say("warning: " + warning);
  if (reply->has_unconfirmed()) {
    Say(fmt::format("generation {} waits to be confirmed: {}", reply->generation(),
                    UnconfirmedWords(reply->unconfirmed())));
  }
  return {};
}

}  // namespace shunt::ctl

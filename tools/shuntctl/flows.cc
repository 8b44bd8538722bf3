// SPDX-License-Identifier: Apache-2.0
// shuntctl flows [--limit=N]
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"

namespace shunt::ctl {
namespace {

constexpr uint32_t kMaxLimit = 1000000;

Status Flows(const Session& session, const std::string& limit) {
  Words words;
  v1::ListFlowsRequest request;
  request.set_limit(words.Number("--limit", limit, 1, kMaxLimit));
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto flows = (*client)->ListFlows(request);
  if (!flows) return std::unexpected(flows.error());
  Print(session.json() ? ToText(ToJson(*flows)) : FormatFlows(*flows, session.colour));
  if (!session.json() && flows->more()) {
    Say(fmt::format("There are more than {} flows; --limit shows up to {}.", request.limit(), kMaxLimit));
  }
  return {};
}

}  // namespace

void AddFlows(CLI::App& app, Session& session) {
  const auto limit = std::make_shared<std::string>("1000");
  CLI::App& verb = *AddVerb(
      app, session,
      {"flows", "Remembered flows, the reals they belong to and how long they were silent", "shuntctl flows --limit=20",
       R"({"flows": [{"source", "destination", "real", "idle_seconds"}], "more": false})"},
      [&session, limit] { return Flows(session, *limit); });
  verb.add_option("--limit", *limit, "at most so many (1000)")->type_name("N");
}

}  // namespace shunt::ctl

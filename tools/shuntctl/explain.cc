// SPDX-License-Identifier: Apache-2.0
// shuntctl explain SOURCE DESTINATION
#include <CLI/CLI.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/net/endpoint.h"

namespace shunt::ctl {
namespace {

struct ExplainWords {
  std::string source;
  std::string destination;
};

Status Explain(const Session& session, const ExplainWords& given) {
  Words words;
  v1::ExplainRequest request;
  request.set_source(words.Read(Endpoint::Parse(given.source)).ToString());
  request.set_destination(VipText(words, given.destination));
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto explanation = (*client)->Explain(request);
  if (!explanation) return std::unexpected(explanation.error());
  Print(session.json() ? ToText(ToJson(*explanation)) : FormatExplanation(*explanation, session.colour));
  return {};
}

}  // namespace

void AddExplain(CLI::App& app, Session& session) {
  const auto words = std::make_shared<ExplainWords>();
  CLI::App& verb = *AddVerb(app, session,
                            {"explain", "What would become of a flow's packet, stage by stage, and why",
                             "shuntctl explain 198.51.100.7:40000 203.0.113.10:443/tcp",
                             R"({"steps": [{"stage", "sentence"}], "verdict", "action", "sentence", "vip", "real"})"},
                            [&session, words] { return Explain(session, *words); });
  verb.add_option("SOURCE", words->source, "ADDRESS:PORT of the client")->required();
  verb.add_option("DESTINATION", words->destination, "ADDRESS:PORT/PROTOCOL the client talks to")->required();
}

}  // namespace shunt::ctl

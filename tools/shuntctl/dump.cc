// SPDX-License-Identifier: Apache-2.0
// shuntctl dump
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/store_file.h"

namespace shunt::ctl {
namespace {

Status Dump(const Session& session) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto config = (*client)->GetConfig();
  if (!config) return std::unexpected(config.error());
  if (session.json()) {
    Print(ToText(ToJson(*config)));
    return {};
  }
  DesiredState state;
  if (const auto problems = FromProto(*config, state); !problems.empty()) {
    return Fail(ErrorKind::kSystem, fmt::format("dump: shuntd sent what this shuntctl cannot read ({}); are they of "
                                                "the same version?",
                                                problems.front().ToString()));
  }
  Print(ToYaml(state));
  return {};
}

}  // namespace

void AddDump(CLI::App& app, Session& session) {
  AddVerb(app, session,
          {"dump", "Print the store as YAML, with its secret hash_key; apply -f reads it", "shuntctl dump > lb.yaml",
           R"(the same keys: {"hash_key", "defaults", "outer_source", "vips": […]})"},
          [&session] { return Dump(session); });
}

}  // namespace shunt::ctl

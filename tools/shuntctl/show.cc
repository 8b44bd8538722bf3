// SPDX-License-Identifier: Apache-2.0
// shuntctl show, and shuntctl without a verb: the whole state at a glance.
#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"

namespace shunt::ctl {

Status ShowState(const Session& session) {
  const auto state = GetState(session);
  if (!state) return std::unexpected(state.error());
  Print(session.json() ? ToText(ToJson(*state)) : FormatOverview(*state, session.colour));
  if (!session.json() && state->vips().empty()) {
    Say("No VIPs yet. Begin with: shuntctl vip add 203.0.113.10:443/tcp\n"
        "                    then: shuntctl real add 203.0.113.10:443/tcp 10.0.0.11\n"
        "Every verb:               shuntctl --help");
  }
  return {};
}

void AddShow(CLI::App& app, Session& session) {
  AddVerb(app, session,
          {"show", "The whole state at a glance, as shuntctl without a verb prints it", "shuntctl show",
           R"({"vips": [{"vip", …, "reals": [{"address", …}]}], "max_vips", "max_reals", "max_flows", "generation",
   "unconfirmed": null | {"back_to", "seconds_left"}})"},
          [&session] { return ShowState(session); });
}

}  // namespace shunt::ctl

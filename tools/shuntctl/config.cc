// SPDX-License-Identifier: Apache-2.0
// shuntctl config --defaults
#include <CLI/CLI.hpp>

#include "tools/shuntctl/default_store.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"

namespace shunt::ctl {

void AddConfig(CLI::App& app, Session& session) {
  CLI::App& verb = *AddVerb(app, session,
                            {"config", "Print the default store, every key explained (no daemon needed)",
                             "shuntctl config --defaults > lb.yaml", nullptr},
                            []() -> Status {
                              Print(DefaultStore());
                              return {};
                            });
  verb.add_flag("--defaults")->description("print the defaults")->required();
}

}  // namespace shunt::ctl

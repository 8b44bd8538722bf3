// SPDX-License-Identifier: Apache-2.0
// Every verb of shuntctl, one file each, added to the command line by main.cc's table.
#pragma once

#include "tools/shuntctl/session.h"

namespace shunt::ctl {

void AddVipVerbs(CLI::App& app, Session& session);
void AddRealVerbs(CLI::App& app, Session& session);
void AddHealthVerbs(CLI::App& app, Session& session);
void AddEvents(CLI::App& app, Session& session);
void AddAnnounceVerbs(CLI::App& app, Session& session);
void AddStatus(CLI::App& app, Session& session);
void AddHostVerbs(CLI::App& app, Session& session);
void AddApply(CLI::App& app, Session& session);
void AddRollback(CLI::App& app, Session& session);  // and confirm, reload
void AddHistory(CLI::App& app, Session& session);   // and diff
void AddShow(CLI::App& app, Session& session);
void AddDump(CLI::App& app, Session& session);
void AddStats(CLI::App& app, Session& session);
void AddVerdicts(CLI::App& app, Session& session);
void AddFlows(CLI::App& app, Session& session);
void AddExplain(CLI::App& app, Session& session);
void AddConfig(CLI::App& app, Session& session);
void AddReplay(CLI::App& app, Session& session);
void AddUpgradeVerbs(CLI::App& app, Session& session);
void AddDecapVerbs(CLI::App& app, Session& session);

// What shuntctl without a verb does: the whole state at a glance.
Status ShowState(const Session& session);

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
// shuntctl upgrade [--dry-run] and shuntctl detach: what is done to the data plane from outside, without the daemon.
#include "userspace/dataplane/upgrade.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"

namespace shunt::ctl {
namespace {

struct Words {
  std::string bpffs = "/sys/fs/bpf";
  bool dry_run = false;
};

Json ToJson(const UpgradeReport& report, bool dry_run) {
  Json json{{"hitless", report.hitless},
            {"program_changes", report.is_upgrade},
            {"maps_stay", report.maps_stay},
            {"maps", report.maps},
            {"program", report.program},
            {"interfaces", Json::array()},
            {"dry_run", dry_run}};
  for (const auto& one : report.interfaces)
    json["interfaces"].push_back({{"interface", one.interface}, {"how", one.how}});
  return json;
}

std::string VerdictOf(const UpgradeReport& report, bool dry_run) {
  if (!report.hitless) return "not possible while packets pass";
  if (!report.maps_stay) return "hitless, by a restart of shuntd (systemctl restart shuntd)";
  if (!report.is_upgrade) return "nothing to do: this version's program is the one that is attached";
  return dry_run ? "hitless: no packet is lost, none counted twice"
                 : "done; restart shuntd when you like, so that it is of the same version";
}

Status RunUpgrade(const Session& session, const Words& words) {
  const auto report = Upgrade(words.bpffs, words.dry_run);
  if (!report) return std::unexpected(report.error());
  if (session.json()) {
    Print(ToText(ToJson(*report, words.dry_run)));
  } else {
    Print(fmt::format("{}\n{}\n", report->maps, report->program));
    for (const auto& one : report->interfaces) Print(fmt::format("{}: {}\n", one.interface, one.how));
    Print(VerdictOf(*report, words.dry_run) + "\n");
  }
  if (report->hitless && (report->maps_stay || words.dry_run)) return {};
  return Fail(ErrorKind::kSystem, words.dry_run ? "upgrade: it would not be hitless"
                                                : "upgrade: nothing was changed; the maps are not this version's");
}

Status RunDetach(const Session& session, const Words& words) {
  const auto removed = DetachEverything(words.bpffs);
  if (!removed) return std::unexpected(removed.error());
  if (session.json()) {
    Print(ToText(Json{{"removed", *removed}}));
    return {};
  }
  for (const std::string& line : *removed) Print("removed " + line + "\n");
  if (removed->empty()) Print(fmt::format("nothing of a balancer is pinned in {}/shunt\n", words.bpffs));
  return {};
}

void AddBpffs(CLI::App& verb, const std::shared_ptr<Words>& words) {
  verb.add_option("--bpffs", words->bpffs, "the mounted bpffs that shuntd was given (/sys/fs/bpf)")->type_name("PATH");
}

}  // namespace

void AddUpgradeVerbs(CLI::App& app, Session& session) {
  const auto words = std::make_shared<Words>();
  CLI::App& upgrade = *AddVerb(
      app, session,
      {"upgrade",
       "Put this version's program in the place of the attached one, under traffic; --dry-run tells whether that is "
       "hitless (status 0) or not (1). As root, with or without a shuntd that runs",
       "shuntctl upgrade --dry-run",
       R"({"hitless": true, "program_changes": true, "maps_stay": true, "maps", "program", "interfaces": [{"interface", "how"}], "dry_run": true})"},
      [&session, words] { return RunUpgrade(session, *words); });
  upgrade.add_flag("--dry-run", words->dry_run, "load the program, so that the verifier has seen it; attach nothing");
  AddBpffs(upgrade, words);
  CLI::App& detach = *AddVerb(
      app, session,
      {"detach",
       "Take the balancer off all interfaces, and its maps and programs out of the kernel; says what it removed. "
       "As root, when shuntd has stopped. Remembered flows and counters are lost",
       "systemctl stop shuntd && shuntctl detach", R"({"removed": ["eth0: the balancer's program", …]})"},
      [&session, words] { return RunDetach(session, *words); });
  AddBpffs(detach, words);
}

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
// shuntctl: the command line. The table of verbs, the global options, and what is said about words that make no
// sense. What a verb does stands in its own file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <utility>

#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "userspace/base/text.h"

namespace shunt::ctl {
namespace {

using AddVerbs = void (*)(CLI::App&, Session&);

// In the order of --help.
constexpr AddVerbs kVerbs[] = {
    AddShow,   AddStatus,  AddVipVerbs, AddRealVerbs, AddHostVerbs,    AddAnnounceVerbs, AddHealthVerbs,
    AddEvents, AddApply,   AddRollback, AddHistory,   AddDump,         AddStats,         AddVerdicts,
    AddFlows,  AddExplain, AddReplay,   AddConfig,    AddUpgradeVerbs, AddDecapVerbs,
};

constexpr const char* kFooter = R"(Without a verb: the whole state at a glance. Every verb has --help, with an example.

Examples:
  shuntctl vip add 203.0.113.10:443/tcp
  shuntctl real add 203.0.113.10:443/tcp 10.0.0.11 --weight=10
  shuntctl apply -f lb.yaml --confirm=60s
  shuntctl -o json | jq '.vips[].vip'
  shuntctl --address=lb1.example.net:9870 --tls-ca=ca.pem --tls-certificate=me.pem --tls-key=me.key health

JSON keeps its keys and their meanings; new keys may come. Colour only on a terminal and without NO_COLOR.

Exit status: 0 done; 1 failed; 2 misuse, or input that cannot be (invalid, not there, there already).
)";

// The verb that the command line came to, and its name as the user would type it.
struct Place {
  const CLI::App* app;
  std::string name;
};

Place Deepest(const CLI::App& root) {
  Place place{&root, root.get_name()};
  for (auto chosen = root.get_subcommands(); !chosen.empty(); chosen = place.app->get_subcommands()) {
    place = {chosen.back(), place.name + " " + chosen.back()->get_name()};
  }
  return place;
}

std::vector<std::string> VerbNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(verb->get_name());
  }
  return names;
}

// Of the verb and of shuntctl itself, which may stand behind any verb.
std::vector<std::string> OptionNames(const CLI::App& root, const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* owner : {&app, &root}) {
    if (owner == &root && &app == &root && !names.empty()) break;
    for (const CLI::Option* option : owner->get_options([](const CLI::Option* o) { return !o->get_positional(); })) {
      const std::string name = option->get_name();
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

// All four or none; the files alone for peers.
Status CheckTarget(const Session& session) {
  const TlsTarget& tls = session.tls;
  using Option = std::pair<const char*, const std::string*>;
  std::vector<Option> options = {
      {"--tls-ca", &tls.ca}, {"--tls-certificate", &tls.certificate}, {"--tls-key", &tls.key}};
  if (session.peers.empty()) options.insert(options.begin(), {"--address", &tls.address});
  const auto is_missing = [](const Option& option) { return option.second->empty(); };
  const auto missing = std::ranges::find_if(options, is_missing);
  if (missing == options.end() || (session.peers.empty() && std::ranges::all_of(options, is_missing))) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("{} is missing: {} --tls-ca, --tls-certificate and --tls-key", missing->first,
                          session.peers.empty() ? "a daemon on TCP takes --address," : "--peers takes"));
}

Status CheckWords(const CLI::App& root, const Session& session) {
  const auto place = Deepest(root);
  const auto verbs = VerbNames(*place.app);
  if (const auto rest = root.remaining(true); !rest.empty()) {
    const std::string& word = rest.front();
    if (word.starts_with('-')) {
      return Fail(ErrorKind::kInvalid, fmt::format("{}: no option {}; there are {}", place.name, Quote(word),
                                                   fmt::join(OptionNames(root, *place.app), ", ")));
    }
    if (!verbs.empty()) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("{}: no verb {}; there are {}", place.name, Quote(word), fmt::join(verbs, ", ")));
    }
    return Fail(ErrorKind::kInvalid,
                fmt::format("{0}: {1} is one word too many; see {0} --help", place.name, Quote(word)));
  }
  if (place.app != &root && !verbs.empty() && !session.action) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: a verb is missing; there are {}", place.name, fmt::join(verbs, ", ")));
  }
  if (session.output != "table" && session.output != "json") {
    return Fail(ErrorKind::kInvalid, fmt::format("-o {}: expected one of table, json", Quote(session.output)));
  }
  return CheckTarget(session);
}

Status Run(const CLI::App& app, Session& session) {
  if (const auto status = CheckWords(app, session); !status) return status;
  session.colour = StdoutHasColour();
  const Status status = session.action ? session.action() : ShowState(session);
  const Status written = FinishOutput();
  return status ? written : status;
}

int Main(int argc, char** argv) {
  Session session;
  CLI::App app("Adds, changes and shows what a Shunt balancer does.", "shuntctl");
  app.set_version_flag("--version", "shuntctl " SHUNT_VERSION);
  app.add_option("-o,--output", session.output, "how to print: table or json")->type_name("table|json");
  app.add_option("--socket", session.socket, fmt::format("the daemon's socket ({})", kDefaultSocket))
      ->type_name("PATH");
  app.add_option("--address", session.tls.address,
                 "a daemon that listens on TCP, in place of the socket; needs the three files")
      ->type_name("HOST:PORT");
  app.add_option("--tls-ca", session.tls.ca, "authority of its certificate (PEM)")->type_name("FILE");
  app.add_option("--tls-certificate", session.tls.certificate, "one's own certificate (PEM)")->type_name("FILE");
  app.add_option("--tls-key", session.tls.key, "its key (PEM)")->type_name("FILE");
  app.allow_extras();
  app.footer(kFooter);
  for (const AddVerbs add : kVerbs) add(app, session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const std::string name = Deepest(app).name;
    Say(fmt::format("{0}: {1}; see {0} --help", name, error.what()));
    return 2;
  }
  const Status status = Run(app, session);
  if (!status) Complain(status.error());
  return ExitStatusOf(status);
}

}  // namespace
}  // namespace shunt::ctl

int main(int argc, char** argv) { return shunt::ctl::Main(argc, argv); }

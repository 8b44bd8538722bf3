// SPDX-License-Identifier: Apache-2.0
// shuntctl announce list|up|down|filter
#include <CLI/CLI.hpp>

#include "tools/shuntctl/announce_format.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"

namespace shunt::ctl {
namespace {

constexpr const char* kListJson =
    R"({"table": 83 | null, "protocol", "problem": null | "…", "host": "serving|draining|leaving",
   "prefixes": [{"prefix", "state": "announced|lowered|graceful|withdrawn", "metric": 100 | null, "cause", "since_ms",
                 "held_seconds": null | 4, "communities": ["64512:100"], "vips": ["203.0.113.10:443/tcp"]}],
   "vips": [{"vip", "state", "cause", "healthy_reals", "healthy_percent"}]}
  of a VIP: what is right for it alone; several may share a prefix)";
constexpr const char* kChangeJson = R"({"changes": ["~ vip …"], "warnings": ["…"], "dry_run": false})";

struct AnnounceVerbWords {
  std::string vip;
  std::string speaker;
};

Status List(const Session& session) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto announcements = (*client)->GetAnnouncements();
  if (!announcements) return std::unexpected(announcements.error());
  Print(session.json() ? ToText(ToJson(*announcements)) : FormatAnnouncements(*announcements, session.colour));
  return {};
}

Status Set(const Session& session, const AnnounceVerbWords& given, v1::AnnounceState state) {
  Words words;
  v1::VipRequest request;
  request.mutable_vip()->set_vip(VipText(words, given.vip));
  request.mutable_vip()->mutable_announce()->set_state(state);
  if (const auto status = words.status(); !status) return status;
  return PrintChange(session, [&](Client& client) { return client.SetVip(request); });
}

Status Filter(const Session& session, const AnnounceVerbWords& given) {
  Words words;
  const bool bird = words.Choice("SPEAKER", given.speaker, {"bird", "frr"}) == 0;
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto announcements = (*client)->GetAnnouncements();
  if (!announcements) return std::unexpected(announcements.error());
  Print(bird ? BirdFilter(*announcements) : FrrFilter(*announcements));
  return {};
}

}  // namespace

void AddAnnounceVerbs(CLI::App& app, Session& session) {
  CLI::App& group = *AddGroup(app, "announce", "What a BGP speaker is told to announce, and why or why not");
  const auto words = std::make_shared<AnnounceVerbWords>();
  const auto vip = [words](CLI::App* verb) {
    verb->add_option("VIP", words->vip, "ADDRESS:PORT/PROTOCOL, e.g. 203.0.113.10:443/tcp")->required();
  };
  AddVerb(group, session,
          {"list", "List the prefixes of the VIPs: announced or not, the metric of each route, and why",
           "shuntctl announce list", kListJson},
          [&session] { return List(session); });
  vip(AddVerb(group, session,
              {"up", "Announce a VIP while it has enough healthy reals", "shuntctl announce up 203.0.113.10:443/tcp",
               kChangeJson},
              [&session, words] { return Set(session, *words, v1::ANNOUNCE_STATE_UP); }));
  vip(AddVerb(group, session,
              {"down", "Announce a VIP no longer, whatever its health; packets that come are still balanced",
               "shuntctl announce down 203.0.113.10:443/tcp", kChangeJson},
              [&session, words] { return Set(session, *words, v1::ANNOUNCE_STATE_DOWN); }));
  AddVerb(group, session,
          {"filter",
           "Print the VIPs' communities as a piece of a BGP speaker's configuration: for BIRD 2 a function, for FRR a "
           "route-map",
           "shuntctl announce filter bird > /etc/bird/shunt-communities.conf && birdc configure", nullptr},
          [&session, words] { return Filter(session, *words); })
      ->add_option("SPEAKER", words->speaker, "whose configuration")
      ->required()
      ->type_name("bird|frr");
}

}  // namespace shunt::ctl

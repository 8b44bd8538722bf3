// SPDX-License-Identifier: Apache-2.0
// shuntctl vip add|set|rm|list|show
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/net/endpoint.h"

namespace shunt::ctl {
namespace {

constexpr const char* kChangeJson = R"({"changes": ["+ vip …"], "warnings": ["…"], "dry_run": false})";
constexpr const char* kVipJson =
    R"({"vip", "tracking", "ring_size", "outer_ttl", "traffic": {"packets", "bytes", "new_flows"},
   "reals": [{"address", "weight", "state", "slots", "share", "next_hop", "problem", "traffic"}]})";

struct VipWords {
  std::string vip;
  std::optional<std::string> tracking;
  std::optional<std::string> ring_size;
  std::optional<std::string> outer_ttl;
};

void AddVipWord(CLI::App& verb, const std::shared_ptr<VipWords>& words) {
  verb.add_option("VIP", words->vip,
                  "ADDRESS:PORT/PROTOCOL, e.g. 203.0.113.10:443/tcp or [2001:db8::1]:443/udp; "
                  "port * for every port")
      ->required();
}

void AddSettings(CLI::App& verb, const std::shared_ptr<VipWords>& words) {
  AddVipWord(verb, words);
  verb.add_option("--tracking", words->tracking, "all: remember every flow; none: the ring alone decides")
      ->type_name("all|none");
  verb.add_option("--ring-size", words->ring_size, "slots of the ring, a prime")->type_name("N");
  verb.add_option("--outer-ttl", words->outer_ttl, "TTL or hop limit of the outer header")->type_name("N");
}

Result<v1::VipRequest> RequestOf(const VipWords& given) {
  Words words;
  v1::VipRequest request;
  v1::Vip& vip = *request.mutable_vip();
  vip.set_vip(VipText(words, given.vip));
  if (given.tracking) {
    const bool all = words.Choice("--tracking", *given.tracking, {"all", "none"}) == 0;
    vip.set_tracking(all ? v1::TRACKING_ALL : v1::TRACKING_NONE);
  }
  if (given.ring_size) vip.set_ring_size(words.Number("--ring-size", *given.ring_size, 2, 655373));
  if (given.outer_ttl) vip.set_outer_ttl(words.Number("--outer-ttl", *given.outer_ttl, 1, 255));
  if (const auto status = words.status(); !status) return std::unexpected(status.error());
  return request;
}

Status AddOrSet(const Session& session, const VipWords& given, bool add) {
  const auto request = RequestOf(given);
  if (!request) return std::unexpected(request.error());
  if (!add && !given.tracking && !given.ring_size && !given.outer_ttl) {
    return Fail(ErrorKind::kInvalid, "vip set: nothing to set; give --tracking, --ring-size or --outer-ttl");
  }
  return PrintChange(session, [&](Client& client) { return add ? client.AddVip(*request) : client.SetVip(*request); });
}

Status Remove(const Session& session, const VipWords& given) {
  Words words;
  v1::RemoveVipRequest request;
  request.set_vip(VipText(words, given.vip));
  if (const auto status = words.status(); !status) return status;
  return PrintChange(session, [&](Client& client) { return client.RemoveVip(request); });
}

Status List(const Session& session) {
  const auto state = GetState(session);
  if (!state) return std::unexpected(state.error());
  Print(session.json() ? ToText(ToJson(*state)) : FormatVipList(*state, session.colour));
  return {};
}

Status Show(const Session& session, const VipWords& given) {
  auto state = StateOf(session, given.vip);
  if (!state) return std::unexpected(state.error());
  Print(session.json() ? ToText(ToJson(state->vips(0))) : FormatOverview(*state, session.colour));
  return {};
}

}  // namespace

void AddVipVerbs(CLI::App& app, Session& session) {
  CLI::App& group = *AddGroup(app, "vip", "Add, change, remove and show VIPs");
  const auto words = std::make_shared<VipWords>();
  AddSettings(*AddVerb(group, session,
                       {"add", "Add a VIP", "shuntctl vip add 203.0.113.10:443/tcp --tracking=none", kChangeJson},
                       [&session, words] { return AddOrSet(session, *words, true); }),
              words);
  AddSettings(*AddVerb(group, session,
                       {"set", "Change a VIP; what is not given stays",
                        "shuntctl vip set 203.0.113.10:443/tcp --ring-size=4099", kChangeJson},
                       [&session, words] { return AddOrSet(session, *words, false); }),
              words);
  AddVipWord(*AddVerb(group, session,
                      {"rm", "Remove a VIP and its reals", "shuntctl vip rm 203.0.113.10:443/tcp", kChangeJson},
                      [&session, words] { return Remove(session, *words); }),
             words);
  AddVerb(group, session,
          {"list", "List the VIPs, each in one line", "shuntctl vip list",
           R"({"vips": [… as of vip show …], "max_vips", "max_reals", "max_flows"})"},
          [&session] { return List(session); });
  AddVipWord(
      *AddVerb(group, session, {"show", "Show a VIP and its reals", "shuntctl vip show 203.0.113.10:443/tcp", kVipJson},
               [&session, words] { return Show(session, *words); }),
      words);
}

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
// shuntctl real add|set|rm|drain|undrain|list
#include <CLI/CLI.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/model/desired_state.h"

namespace shunt::ctl {
namespace {

constexpr const char* kChangeJson = R"({"changes": ["~ real …"], "warnings": ["…"], "dry_run": false})";
constexpr const char* kListJson =
    R"({"reals": [{"vip", "address", "weight", "state", "slots", "share", "next_hop", "problem",
             "traffic": {"packets", "bytes", "new_flows"}, "flows", "new_flows_per_second",
             "health", "climb_percent", "backup", "canary_percent", "group", "drain_seconds"}]})";

struct RealWords {
  std::string vip;
  std::string address;
  std::optional<std::string> weight;
  std::optional<std::string> state;
  std::optional<std::string> timeout;
  std::optional<bool> backup;
  std::optional<std::string> canary;
  std::optional<std::string> group;
};

using WordsPtr = std::shared_ptr<RealWords>;

CLI::App& AddNames(CLI::App& verb, const WordsPtr& words) {
  verb.add_option("VIP", words->vip, "the VIP, e.g. 203.0.113.10:443/tcp")->required();
  verb.add_option("ADDRESS", words->address, "the real's address, IPv4 or IPv6")->required();
  return verb;
}

void AddSettings(CLI::App& verb, const WordsPtr& words) {
  AddNames(verb, words);
  verb.add_option("--weight", words->weight, "share of new flows, 0 to 65535; 0 takes none")->type_name("N");
  verb.add_option("--state", words->state, "drain: no new flows, keep the old ones")->type_name("active|drain");
  AddSwitch(verb, "--backup,!--no-backup", words->backup, "new flows only while too few of the others are healthy");
  verb.add_option("--canary", words->canary, "share of all new flows in place of the weight, 0.1 to 50; 0: none")
      ->type_name("PERCENT");
  verb.add_option("--group", words->group, "new flows only while this is the VIP's active group (vip switch)")
      ->type_name("NAME");
}

Result<v1::RealRequest> RequestOf(const RealWords& given) {
  Words words;
  v1::RealRequest request;
  request.set_vip(VipText(words, given.vip));
  v1::Real& real = *request.mutable_real();
  real.set_address(AddressText(words, given.address));
  if (given.weight) real.set_weight(words.Number("--weight", *given.weight, 0, kMaxWeight));
  if (given.state) {
    const bool active = words.Choice("--state", *given.state, {"active", "drain"}) == 0;
    real.set_state(active ? v1::REAL_STATE_ACTIVE : v1::REAL_STATE_DRAIN);
  }
  if (given.timeout) real.set_drain_seconds(words.Seconds("--timeout", *given.timeout, 1, kMaxDrainSeconds));
  if (given.backup) real.set_backup(*given.backup);
  if (given.canary) real.set_canary_percent(words.Decimal("--canary", *given.canary, 0, kMaxCanaryTenths / 10.0));
  if (given.group) real.set_group(*given.group);
  if (const auto status = words.status(); !status) return std::unexpected(status.error());
  return request;
}

Status AddOne(const Session& session, const RealWords& given) {
  const auto request = RequestOf(given);
  if (!request) return std::unexpected(request.error());
  return PrintChange(session, [&](Client& client) { return client.AddReal(*request); });
}

Status Set(const Session& session, const RealWords& given) {
  const auto request = RequestOf(given);
  if (!request) return std::unexpected(request.error());
  if (!given.weight && !given.state && !given.backup && !given.canary && !given.group) {
    return Fail(ErrorKind::kInvalid,
                "real set: nothing to set; give --weight, --state, --backup, --no-backup, --canary or --group");
  }
  return PrintChange(session, [&](Client& client) { return client.SetReal(*request); });
}

Status SetState(const Session& session, RealWords given, const char* state) {
  given.state = state;
  return Set(session, given);
}

Status Remove(const Session& session, const RealWords& given) {
  const auto named = RequestOf(given);
  if (!named) return std::unexpected(named.error());
  v1::RemoveRealRequest request;
  request.set_vip(named->vip());
  request.set_address(named->real().address());
  return PrintChange(session, [&](Client& client) { return client.RemoveReal(request); });
}

Status List(const Session& session, const RealWords& given) {
  const auto state = given.vip.empty() ? GetState(session) : StateOf(session, given.vip);
  if (!state) return std::unexpected(state.error());
  Print(session.json() ? ToText(RealsToJson(*state)) : FormatRealList(*state, session.colour));
  return {};
}

}  // namespace

void AddRealVerbs(CLI::App& app, Session& session) {
  CLI::App& group = *AddGroup(app, "real", "Add, change, drain, remove and list reals");
  const auto words = std::make_shared<RealWords>();
  AddSettings(*AddVerb(group, session,
                       {"add", "Add a real to a VIP", "shuntctl real add 203.0.113.10:443/tcp 10.0.0.11 --weight=10",
                        kChangeJson},
                       [&session, words] { return AddOne(session, *words); }),
              words);
  AddSettings(*AddVerb(group, session,
                       {"set", "Change a real; what is not given stays",
                        "shuntctl real set 203.0.113.10:443/tcp 10.0.0.11 --weight=20", kChangeJson},
                       [&session, words] { return Set(session, *words); }),
              words);
  AddNames(*AddVerb(group, session,
                    {"rm", "Remove a real from a VIP", "shuntctl real rm 203.0.113.10:443/tcp 10.0.0.11", kChangeJson},
                    [&session, words] { return Remove(session, *words); }),
           words);
  AddNames(*AddVerb(group, session,
                    {"drain", "Give a real no new flows; it keeps the old ones",
                     "shuntctl real drain 203.0.113.10:443/tcp 10.0.0.11 --timeout=300s", kChangeJson},
                    [&session, words] { return SetState(session, *words, "drain"); }),
           words)
      .add_option("--timeout", words->timeout,
                  "then remove it, when its flows are gone or after this time; default: it stays")
      ->type_name("TIME");
  AddNames(*AddVerb(group, session,
                    {"undrain", "Give a drained real new flows again",
                     "shuntctl real undrain 203.0.113.10:443/tcp 10.0.0.11", kChangeJson},
                    [&session, words] { return SetState(session, *words, "active"); }),
           words);
  AddVerb(group, session, {"list", "List the reals of one VIP or of all", "shuntctl real list", kListJson},
          [&session, words] { return List(session, *words); })
      ->add_option("VIP", words->vip, "only this VIP's reals");
}

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
// shuntctl vip add|set|switch|rm|list|show
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/announce_options.h"
#include "tools/shuntctl/check_options.h"
#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/model/desired_state.h"

namespace shunt::ctl {
namespace {

constexpr const char* kChangeJson = R"({"changes": ["+ vip …"], "warnings": ["…"], "dry_run": false})";
constexpr const char* kVipJson =
    R"({"vip", "tracking", "ring_size", "outer_ttl", "udp_idle_seconds", "tcp_settle_seconds", "quic",
   "check", "mode", "healthy_percent", "backups_used", "active_group",
   "settling": {"stable_slots", "moving_slots", "slots_with_exceptions", "settles_in_seconds",
                "remembered_flows", "refused_flows"},
   "traffic": {"packets", "bytes", "new_flows"}, "flows", "new_flows_per_second",
   "reals": [{"address", "weight", "state", "slots", "share", "next_hop", "problem",
              "traffic", "flows", "new_flows_per_second", "health": "unchecked|unknown|up|down", "climb_percent",
              "backup", "canary_percent", "group", "drain_seconds"}]}
  mode: normal, panic_open, panic_closed, withdrawn; climb_percent: of its weight, null: all of it
  flows: different ones lately, estimated; null: not known (new flows of plain UDP), or not observed yet;
  settles_in_seconds null: no slot settles by time)";

struct VipWords {
  std::string vip;
  std::string group;  // of `switch`
  std::optional<std::string> tracking;
  std::optional<std::string> ring_size;
  std::optional<std::string> outer_ttl;
  std::optional<std::string> udp_idle;
  std::optional<std::string> tcp_settle;
  std::optional<bool> quic;
  CheckWords check;
  AnnounceWords announce;
  std::optional<std::string> panic;
  std::optional<std::string> panic_action;
  std::optional<std::string> slow_start;
  std::optional<std::string> slow_start_exponent;
  std::optional<std::string> backup_below;
  std::optional<std::string> ring_changes;
};

void AddVipWord(CLI::App& verb, const std::shared_ptr<VipWords>& words) {
  verb.add_option("VIP", words->vip,
                  "ADDRESS:PORT/PROTOCOL, e.g. 203.0.113.10:443/tcp or [2001:db8::1]:443/udp; "
                  "port * for every port")
      ->required();
}

void AddHealthSettings(CLI::App& verb, const std::shared_ptr<VipWords>& words) {
  AddCheckOptions(verb, words->check);
  verb.add_option("--panic", words->panic, "panic when less of the reals' weight is healthy; 0: never")
      ->type_name("PERCENT");
  verb.add_option("--panic-action", words->panic_action,
                  "fail_open: all reals take traffic; fail_closed: only healthy ones; withdraw: the same, and the VIP "
                  "is not to be announced")
      ->type_name("fail_open|fail_closed|withdraw");
  verb.add_option("--slow-start", words->slow_start, "a real that comes up climbs to its weight in this time, e.g. 30s")
      ->type_name("TIME");
  verb.add_option("--slow-start-exponent", words->slow_start_exponent, "1 is linear; above it the climb begins slower")
      ->type_name("X");
  verb.add_option("--backup-below", words->backup_below, "backups join when less of the others' weight is healthy")
      ->type_name("PERCENT");
  verb.add_option("--ring-changes", words->ring_changes,
                  "at most so many changes of the ring a second that health or slow start cause")
      ->type_name("N");
}

void AddSettings(CLI::App& verb, const std::shared_ptr<VipWords>& words) {
  AddVipWord(verb, words);
  verb.add_option("--tracking", words->tracking,
                  "moving: remember flows while the ring changes hands; all: remember every flow; none: the ring "
                  "alone decides")
      ->type_name("moving|all|none");
  verb.add_option("--ring-size", words->ring_size, "slots of the ring, a prime")->type_name("N");
  verb.add_option("--outer-ttl", words->outer_ttl, "TTL or hop limit of the outer header")->type_name("N");
  verb.add_option("--udp-idle", words->udp_idle, "a UDP flow silent for longer may change its real")
      ->type_name("SECONDS");
  verb.add_option("--tcp-settle", words->tcp_settle, "a TCP flow silent for longer may change its real")
      ->type_name("SECONDS");
  AddSwitch(verb, "--quic,!--no-quic", words->quic, "UDP: QUIC's long headers tell which packets open a flow");
  AddHealthSettings(verb, words);
  AddAnnounceOptions(verb, words->announce);
}

void HealthSettingsOf(const VipWords& given, Words& words, v1::Vip& vip) {
  if (const auto check = CheckOf(given.check, words)) *vip.mutable_health() = *check;
  if (given.panic) vip.set_panic_percent(words.Number("--panic", *given.panic, 0, 100));
  if (given.panic_action) {
    constexpr v1::PanicAction kChoices[] = {v1::PANIC_ACTION_FAIL_OPEN, v1::PANIC_ACTION_FAIL_CLOSED,
                                            v1::PANIC_ACTION_WITHDRAW};
    vip.set_panic_action(
        kChoices[words.Choice("--panic-action", *given.panic_action, {"fail_open", "fail_closed", "withdraw"})]);
  }
  if (given.slow_start) {
    vip.set_slow_start_seconds(words.Seconds("--slow-start", *given.slow_start, 0, kMaxSlowStartSeconds));
  }
  if (given.slow_start_exponent) {
    vip.set_slow_start_exponent(words.Decimal("--slow-start-exponent", *given.slow_start_exponent,
                                              kMinSlowStartExponent, kMaxSlowStartExponent));
  }
  if (given.backup_below) vip.set_backup_below_percent(words.Number("--backup-below", *given.backup_below, 1, 100));
  if (given.ring_changes) vip.set_ring_changes_per_second(words.Number("--ring-changes", *given.ring_changes, 1, 100));
}

Result<v1::VipRequest> RequestOf(const VipWords& given) {
  Words words;
  v1::VipRequest request;
  v1::Vip& vip = *request.mutable_vip();
  vip.set_vip(VipText(words, given.vip));
  if (given.tracking) {
    constexpr v1::Tracking kChoices[] = {v1::TRACKING_MOVING, v1::TRACKING_ALL, v1::TRACKING_NONE};
    vip.set_tracking(kChoices[words.Choice("--tracking", *given.tracking, {"moving", "all", "none"})]);
  }
  if (given.ring_size) vip.set_ring_size(words.Number("--ring-size", *given.ring_size, 2, 655373));
  if (given.outer_ttl) vip.set_outer_ttl(words.Number("--outer-ttl", *given.outer_ttl, 1, 255));
  if (given.udp_idle) vip.set_udp_idle_seconds(words.Number("--udp-idle", *given.udp_idle, 1, kMaxIdleSeconds));
  if (given.tcp_settle) vip.set_tcp_settle_seconds(words.Number("--tcp-settle", *given.tcp_settle, 1, kMaxIdleSeconds));
  if (given.quic) vip.set_quic(*given.quic);
  HealthSettingsOf(given, words, vip);
  if (const auto announce = AnnounceOf(given.announce, words)) *vip.mutable_announce() = *announce;
  if (const auto status = words.status(); !status) return std::unexpected(status.error());
  return request;
}

Status AddOrSet(const Session& session, const VipWords& given, bool add) {
  const auto request = RequestOf(given);
  if (!request) return std::unexpected(request.error());
  v1::Vip named;
  named.set_vip(request->vip().vip());
  if (!add && request->vip().ByteSizeLong() == named.ByteSizeLong()) {
    return Fail(ErrorKind::kInvalid, "vip set: nothing to set; the settings: shuntctl vip set --help");
  }
  return PrintChange(session, [&](Client& client) { return add ? client.AddVip(*request) : client.SetVip(*request); });
}

// Blue/green: one change of the VIP, so one change of its ring.
Status Switch(const Session& session, const VipWords& given) {
  const auto before = StateOf(session, given.vip);
  if (!before) return std::unexpected(before.error());
  const v1::VipState& vip = before->vips(0);
  v1::VipRequest request;
  request.mutable_vip()->set_vip(vip.vip());
  request.mutable_vip()->set_active_group(given.group);
  const auto status = PrintChange(session, [&](Client& client) { return client.SetVip(request); });
  if (!status || session.json() || vip.active_group() == given.group) return status;
  const std::string space = vip.active_group().empty() ? "" : " ";
  Say(fmt::format("the way back: shuntctl vip switch {}{}{}", vip.vip(), space, vip.active_group()));
  return {};
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
  Print(session.json() ? ToText(ToJson(state->vips(0))) : FormatVip(state->vips(0), session.colour));
  return {};
}

}  // namespace

void AddVipVerbs(CLI::App& app, Session& session) {
  CLI::App& group = *AddGroup(app, "vip", "Add, change, remove and show VIPs");
  const auto words = std::make_shared<VipWords>();
  AddSettings(*AddVerb(group, session,
                       {"add", "Add a VIP", "shuntctl vip add 203.0.113.10:443/tcp --check=http --check-path=/health",
                        kChangeJson},
                       [&session, words] { return AddOrSet(session, *words, true); }),
              words);
  AddSettings(*AddVerb(group, session,
                       {"set", "Change a VIP; what is not given stays",
                        "shuntctl vip set 203.0.113.10:443/tcp --check-interval=500ms --fall=2", kChangeJson},
                       [&session, words] { return AddOrSet(session, *words, false); }),
              words);
  CLI::App& change =
      *AddVerb(group, session,
               {"switch",
                "Give new flows to the reals of another group, in one step (blue/green); reals without a "
                "group are not concerned",
                "shuntctl vip switch 203.0.113.10:443/tcp green", kChangeJson},
               [&session, words] { return Switch(session, *words); });
  AddVipWord(change, words);
  change.add_option("GROUP", words->group, "a group that some real has; left out: none, only reals without one");
  AddVipWord(*AddVerb(group, session,
                      {"rm", "Remove a VIP and its reals", "shuntctl vip rm 203.0.113.10:443/tcp", kChangeJson},
                      [&session, words] { return Remove(session, *words); }),
             words);
  AddVerb(group, session,
          {"list", "List the VIPs, each in one line", "shuntctl vip list",
           R"({"vips": [… as of vip show …], "max_vips", "max_reals", "max_flows"})"},
          [&session] { return List(session); });
  AddVipWord(*AddVerb(group, session,
                      {"show", "Show a VIP, its reals and how far its ring has settled",
                       "shuntctl vip show 203.0.113.10:443/tcp", kVipJson},
                      [&session, words] { return Show(session, *words); }),
             words);
}

}  // namespace shunt::ctl

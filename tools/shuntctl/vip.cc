// SPDX-License-Identifier: Apache-2.0
// shuntctl vip add|set|rm|list|show
#include <fmt/format.h>

#include <CLI/CLI.hpp>

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
   "settling": {"stable_slots", "moving_slots", "slots_with_exceptions", "settles_in_seconds",
                "remembered_flows", "refused_flows"},
   "traffic": {"packets", "bytes", "new_flows"}, "flows", "new_flows_per_second",
   "reals": [{"address", "weight", "state", "slots", "share", "next_hop", "problem",
              "traffic", "flows", "new_flows_per_second"}]}
  flows: different ones lately, estimated; null: not known (new flows of plain UDP), or not observed yet;
  settles_in_seconds null: no slot settles by time)";

struct VipWords {
  std::string vip;
  std::optional<std::string> tracking;
  std::optional<std::string> ring_size;
  std::optional<std::string> outer_ttl;
  std::optional<std::string> udp_idle;
  std::optional<std::string> tcp_settle;
  std::optional<bool> quic;

  bool HasSettings() const { return tracking || ring_size || outer_ttl || udp_idle || tcp_settle || quic; }
};

void AddVipWord(CLI::App& verb, const std::shared_ptr<VipWords>& words) {
  verb.add_option("VIP", words->vip,
                  "ADDRESS:PORT/PROTOCOL, e.g. 203.0.113.10:443/tcp or [2001:db8::1]:443/udp; "
                  "port * for every port")
      ->required();
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
  verb.add_flag("--quic,!--no-quic", words->quic, "UDP: QUIC's long headers tell which packets open a flow");
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
  if (const auto status = words.status(); !status) return std::unexpected(status.error());
  return request;
}

Status AddOrSet(const Session& session, const VipWords& given, bool add) {
  const auto request = RequestOf(given);
  if (!request) return std::unexpected(request.error());
  if (!add && !given.HasSettings()) {
    return Fail(ErrorKind::kInvalid,
                "vip set: nothing to set; give --tracking, --ring-size, --outer-ttl, --udp-idle, --tcp-settle, --quic "
                "or --no-quic");
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
  Print(session.json() ? ToText(ToJson(state->vips(0))) : FormatVip(state->vips(0), session.colour));
  return {};
}

}  // namespace

void AddVipVerbs(CLI::App& app, Session& session) {
  CLI::App& group = *AddGroup(app, "vip", "Add, change, remove and show VIPs");
  const auto words = std::make_shared<VipWords>();
  AddSettings(
      *AddVerb(group, session, {"add", "Add a VIP", "shuntctl vip add 203.0.113.10:443/udp --quic", kChangeJson},
               [&session, words] { return AddOrSet(session, *words, true); }),
      words);
  AddSettings(*AddVerb(group, session,
                       {"set", "Change a VIP; what is not given stays",
                        "shuntctl vip set 203.0.113.10:443/tcp --tcp-settle=3600", kChangeJson},
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
  AddVipWord(*AddVerb(group, session,
                      {"show", "Show a VIP, its reals and how far its ring has settled",
                       "shuntctl vip show 203.0.113.10:443/tcp", kVipJson},
                      [&session, words] { return Show(session, *words); }),
             words);
}

}  // namespace shunt::ctl

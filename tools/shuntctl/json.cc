// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/json.h"

#include "tools/shuntctl/format.h"

namespace shunt::ctl {
namespace {

Json ToJson(const v1::Traffic& traffic) {
  return {{"packets", traffic.packets()},
          {"bytes", traffic.bytes()},
          {"new_flows", traffic.has_new_flows() ? Json(traffic.new_flows()) : Json(nullptr)}};
}

// Works for v1::VipState and v1::RealStatus; null for what is not known.
template <class Status>
Json ActivityOf(const Status& status) {
  const v1::Activity& activity = status.activity();
  return {{"flows", status.has_activity() ? Json(activity.flows()) : Json(nullptr)},
          {"new_flows_per_second",
           activity.has_new_flows_per_second() ? Json(activity.new_flows_per_second()) : Json(nullptr)}};
}

// Null as a whole until the VIP was observed.
Json SettlingOf(const v1::VipState& vip) {
  if (!vip.has_settling()) return nullptr;
  const v1::Settling& settling = vip.settling();
  return {
      {"stable_slots", settling.stable_slots()},
      {"moving_slots", settling.moving_slots()},
      {"slots_with_exceptions", settling.slots_with_exceptions()},
      {"settles_in_seconds", settling.has_settles_in_seconds() ? Json(settling.settles_in_seconds()) : Json(nullptr)},
      {"remembered_flows", settling.remembered_flows()},
      {"refused_flows", settling.refused_flows()}};
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json Share(uint32_t slots, uint32_t ring_size) {
  return ring_size == 0 ? 0.0 : static_cast<double>(slots) / static_cast<double>(ring_size);
}

// Health and what else decides about a real's new flows.
Json LifeOf(const v1::RealStatus& real) {
  return {{"health", real.health()},
          {"climb_percent", real.has_climb_percent() ? Json(real.climb_percent()) : Json(nullptr)},
          {"backup", real.backup()},
          {"canary_percent", real.has_canary_percent() ? Json(real.canary_percent()) : Json(nullptr)},
          {"group", TextOrNull(real.group())},
          {"drain_seconds", real.has_drain_seconds() ? Json(real.drain_seconds()) : Json(nullptr)}};
}

Json ToJson(const v1::RealStatus& real, uint32_t ring_size) {
  Json json = {{"address", real.address()},
               {"weight", real.weight()},
               {"state", Name(real.state())},
               {"slots", real.slots()},
               {"share", Share(real.slots(), ring_size)},
               {"next_hop", TextOrNull(real.next_hop())},
               {"problem", TextOrNull(real.problem())},
               {"traffic", ToJson(real.traffic())}};
  json.update(ActivityOf(real));
  json.update(LifeOf(real));
  return json;
}

// Counters and activity in one object.
template <class Status>
Json Counted(const Status& status) {
  Json json = ToJson(status.traffic());
  json.update(ActivityOf(status));
  return json;
}

// The rate of new flows is that of the time between the samples.
template <class Status>
Json Rates(const v1::Traffic& before, const Status& status, double seconds) {
  const v1::Traffic& now = status.traffic();
  Json json = Counted(status);
  json["packets_per_second"] = PerSecond(before.packets(), now.packets(), seconds);
  json["bytes_per_second"] = PerSecond(before.bytes(), now.bytes(), seconds);
  json["new_flows_per_second"] =
      now.has_new_flows() ? Json(PerSecond(before.new_flows(), now.new_flows(), seconds)) : Json(nullptr);
  return json;
}

// The VIPs and reals of a state with the counters that `of_vip` and `of_real` make.
template <class OfVip, class OfReal>
Json Counters(const v1::State& state, OfVip of_vip, OfReal of_real) {
  Json vips = Json::array();
  for (const v1::VipState& vip : state.vips()) {
    Json reals = Json::array();
    for (const v1::RealStatus& real : vip.reals()) {
      Json row = {{"address", real.address()}};
      row.update(of_real(vip, real));
      reals.push_back(std::move(row));
    }
    Json row = {{"vip", vip.vip()}};
    row.update(of_vip(vip));
    row["reals"] = std::move(reals);
    vips.push_back(std::move(row));
  }
  return vips;
}

// VIP settings as the store has them: only those that are set. Works for v1::Vip and v1::VipSettings.
template <class Settings>
void AddSettings(const Settings& settings, Json& json) {
  if (settings.has_tracking()) json["tracking"] = Name(settings.tracking());
  if (settings.has_ring_size()) json["ring_size"] = settings.ring_size();
  if (settings.has_outer_ttl()) json["outer_ttl"] = settings.outer_ttl();
  if (settings.has_udp_idle_seconds()) json["udp_idle_seconds"] = settings.udp_idle_seconds();
  if (settings.has_tcp_settle_seconds()) json["tcp_settle_seconds"] = settings.tcp_settle_seconds();
}

Json ConfigVip(const v1::Vip& vip) {
  Json json = {{"vip", vip.vip()}};
  if (vip.has_encap()) json["encap"] = "ipip";
  AddSettings(vip, json);
  if (vip.has_quic()) json["quic"] = vip.quic();
  json["reals"] = Json::array();
  for (const v1::Real& real : vip.reals()) {
    Json row = {{"address", real.address()}};
    if (real.has_weight()) row["weight"] = real.weight();
    if (real.has_state()) row["state"] = Name(real.state());
    json["reals"].push_back(std::move(row));
  }
  return json;
}

}  // namespace

std::string ToText(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n'; }
std::string ToLine(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

Json ToJson(const v1::ChangeReply& reply, bool dry_run) {
  Json json = {{"changes", Json::array()}, {"warnings", Json::array()}, {"dry_run", dry_run}};
  for (const std::string& change : reply.changes()) json["changes"].push_back(change);
  for (const std::string& warning : reply.warnings()) json["warnings"].push_back(warning);
  json["generation"] = reply.generation();
  json["unconfirmed"] = UnconfirmedOrNull(reply.has_unconfirmed(), reply.unconfirmed());
  return json;
}

Json ToJson(const v1::VipState& vip) {
  Json reals = Json::array();
  for (const v1::RealStatus& real : vip.reals()) reals.push_back(ToJson(real, vip.ring_size()));
  Json json = {{"vip", vip.vip()},
               {"tracking", Name(vip.tracking())},
               {"ring_size", vip.ring_size()},
               {"outer_ttl", vip.outer_ttl()},
               {"udp_idle_seconds", vip.udp_idle_seconds()},
               {"tcp_settle_seconds", vip.tcp_settle_seconds()},
               {"quic", vip.quic()},
               {"check", vip.check()},
               {"mode", vip.mode()},
               {"healthy_percent", vip.healthy_percent()},
               {"backups_used", vip.backups_used()},
               {"active_group", TextOrNull(vip.active_group())},
               {"settling", SettlingOf(vip)},
               {"traffic", ToJson(vip.traffic())}};
  json.update(ActivityOf(vip));
  json["reals"] = std::move(reals);
  return json;
}

Json ToJson(const v1::State& state) {
  Json vips = Json::array();
  for (const v1::VipState& vip : state.vips()) vips.push_back(ToJson(vip));
  Json interfaces = Json::array();
  for (const v1::InterfaceState& interface : state.interfaces()) {
    interfaces.push_back({{"name", interface.name()},
                          {"index", interface.index() == 0 ? Json(nullptr) : Json(interface.index())},
                          {"attached", interface.attached()},
                          {"mode", TextOrNull(interface.mode())},
                          {"problem", TextOrNull(interface.problem())}});
  }
  return {{"host", {{"state", TextOrNull(state.host())}}},
          {"interfaces", std::move(interfaces)},
          {"vips", std::move(vips)},
          {"max_vips", state.max_vips()},
          {"max_reals", state.max_reals()},
          {"max_flows", state.max_flows()},
          {"generation", state.generation()},
          {"unconfirmed", UnconfirmedOrNull(state.has_unconfirmed(), state.unconfirmed())}};
}

Json RealsToJson(const v1::State& state) {
  Json reals = Json::array();
  for (const v1::VipState& vip : state.vips()) {
    for (const v1::RealStatus& real : vip.reals()) {
      Json row = {{"vip", vip.vip()}};
      row.update(ToJson(real, vip.ring_size()));
      reals.push_back(std::move(row));
    }
  }
  return {{"reals", std::move(reals)}};
}

Json StatsToJson(const v1::State& state) {
  return {{"vips", Counters(
                       state, [](const v1::VipState& vip) { return Counted(vip); },
                       [](const v1::VipState&, const v1::RealStatus& real) { return Counted(real); })}};
}

Json RatesToJson(const v1::State& before, const v1::State& state, double seconds) {
  const auto of_vip = [&](const v1::VipState& vip) { return Rates(TrafficOf(before, vip.vip()), vip, seconds); };
  const auto of_real = [&](const v1::VipState& vip, const v1::RealStatus& real) {
    return Rates(TrafficOf(before, vip.vip(), real.address()), real, seconds);
  };
  return {{"seconds", seconds}, {"vips", Counters(state, of_vip, of_real)}};
}

Json ToJson(const v1::Verdicts& verdicts) {
  Json rows = Json::array();
  uint64_t packets = 0;
  uint64_t bytes = 0;
  for (const v1::VerdictCount& verdict : verdicts.verdicts()) {
    packets += verdict.packets();
    bytes += verdict.bytes();
    rows.push_back({{"verdict", verdict.name()},
                    {"action", verdict.action()},
                    {"sentence", verdict.sentence()},
                    {"packets", verdict.packets()},
                    {"bytes", verdict.bytes()}});
  }
  return {{"verdicts", std::move(rows)}, {"total", {{"packets", packets}, {"bytes", bytes}}}};
}

Json ToJson(const v1::Flows& flows) {
  Json rows = Json::array();
  for (const v1::Flow& flow : flows.flows()) {
    rows.push_back({{"source", flow.source()},
                    {"destination", flow.destination()},
                    {"real", flow.real()},
                    {"idle_seconds", flow.idle_seconds()}});
  }
  return {{"flows", std::move(rows)}, {"more", flows.more()}};
}

Json ToJson(const v1::Explanation& explanation) {
  Json steps = Json::array();
  for (const v1::Step& step : explanation.steps()) {
    steps.push_back({{"stage", step.stage()}, {"sentence", step.sentence()}});
  }
  return {{"steps", std::move(steps)},
          {"verdict", explanation.verdict()},
          {"action", explanation.action()},
          {"sentence", explanation.sentence()},
          {"vip", TextOrNull(explanation.vip())},
          {"real", TextOrNull(explanation.real())}};
}

Json ToJson(const v1::Config& config) {
  Json json = Json::object();
  if (!config.hash_key().empty()) json["hash_key"] = config.hash_key();
  if (config.has_defaults()) AddSettings(config.defaults(), json["defaults"] = Json::object());
  if (config.has_outer_source()) {
    Json& source = json["outer_source"] = Json::object();
    if (config.outer_source().has_ipv4()) source["ipv4"] = config.outer_source().ipv4();
    if (config.outer_source().has_ipv6()) source["ipv6"] = config.outer_source().ipv6();
  }
  if (config.host().has_state()) {
    json["host"]["state"] = config.host().state() == v1::HOST_STATE_DRAIN ? "drain" : "serve";
  }
  json["vips"] = Json::array();
  for (const v1::Vip& vip : config.vips()) json["vips"].push_back(ConfigVip(vip));
  return json;
}

}  // namespace shunt::ctl

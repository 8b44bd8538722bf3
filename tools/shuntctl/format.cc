// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/shuntctl/health_format.h"
#include "tools/shuntctl/history_format.h"
#include "tools/shuntctl/settling.h"
#include "tools/shuntctl/table.h"

namespace shunt::ctl {
namespace {

constexpr Table::Align kRight = Table::Align::kRight;

using Row = std::vector<Table::Cell>;

Table::Cell CountCell(uint64_t count) { return {Grouped(count), count == 0 ? Style::kDim : Style::kPlain}; }

// Where nothing can be told.
Table::Cell NothingCell() { return {"-", Style::kDim}; }

Table::Cell RateCell(double per_second) { return CountCell(static_cast<uint64_t>(std::llround(per_second))); }

// Few new flows a second are shown with a decimal, or most VIPs would have none.
std::string FlowRate(double per_second) {
  const bool few = per_second > 0 && per_second < 10;
  return few ? fmt::format("{:.1f}", per_second) : Grouped(static_cast<uint64_t>(std::llround(per_second)));
}

void AddTraffic(const v1::Traffic& traffic, Row& row) {
  row.push_back(CountCell(traffic.packets()));
  row.push_back(CountCell(traffic.bytes()));
  row.push_back(traffic.has_new_flows() ? CountCell(traffic.new_flows()) : NothingCell());
}

// Works for v1::VipState and v1::RealStatus.
template <class Status>
Table::Cell FlowsCell(const Status& status) {
  if (!status.has_activity()) return NothingCell();
  return CountCell(static_cast<uint64_t>(std::llround(status.activity().flows())));
}

template <class Status>
Table::Cell FlowRateCell(const Status& status) {
  if (!status.activity().has_new_flows_per_second()) return NothingCell();
  const double rate = status.activity().new_flows_per_second();
  return {FlowRate(rate), rate == 0 ? Style::kDim : Style::kPlain};
}

Table::Cell NextHopCell(const v1::RealStatus& real) {
  if (real.next_hop().empty()) return {"none: " + real.problem(), Style::kBad};
  return {real.next_hop()};
}

template <class Rows, class Key>
auto Find(const Rows& rows, const std::string& name, Key key) {
  return std::ranges::find_if(rows, [&](const auto& row) { return (row.*key)() == name; });
}

std::string SettingWords(const v1::VipState& vip, bool colour) {
  return fmt::format("{}  tracking {}, {} slots, outer TTL {}{}", Styled(vip.vip(), Style::kBold, colour),
                     Name(vip.tracking()), Grouped(vip.ring_size()), vip.outer_ttl(), vip.quic() ? ", QUIC" : "");
}

std::string TrafficWords(const v1::Traffic& traffic) {
  return fmt::format("{} packets, {} bytes{}", Grouped(traffic.packets()), Grouped(traffic.bytes()),
                     traffic.has_new_flows() ? fmt::format(", {} new flows", Grouped(traffic.new_flows())) : "");
}

// The one of the two times that this VIP's flows are held to; without tracking none is.
std::string TimeWords(const v1::VipState& vip) {
  if (vip.tracking() == v1::TRACKING_NONE) return "";
  if (vip.vip().ends_with("/udp")) return fmt::format(", UDP idle {} s", vip.udp_idle_seconds());
  return fmt::format(", TCP settle {} s", vip.tcp_settle_seconds());
}

std::string HealthLine(const v1::VipState& vip, bool colour) {
  return Styled(HealthWords(vip), IsInPanic(vip) ? Style::kBad : Style::kPlain, colour);
}

std::string RealTable(const v1::VipState& vip, bool colour) {
  if (vip.reals().empty()) {
    return Styled(fmt::format("  no reals; add one: shuntctl real add {} ADDRESS\n", vip.vip()), Style::kDim, colour);
  }
  std::vector<Table::Column> columns{{"REAL"}, {"WEIGHT", kRight}, {"STATE"}};
  if (IsChecked(vip)) columns.push_back({"HEALTH"});
  for (const char* title : {"SHARE", "PACKETS", "BYTES", "NEW FLOWS"}) columns.push_back({title, kRight});
  columns.push_back({"NEXT HOP"});
  Table table(std::move(columns), 2);
  for (const v1::RealStatus& real : vip.reals()) {
    Row row{real.address(), std::to_string(real.weight()), StateCell(real)};
    if (IsChecked(vip)) row.push_back(HealthCell(real));
    row.emplace_back(Percent(real.slots(), vip.ring_size()));
    AddTraffic(real.traffic(), row);
    row.push_back(NextHopCell(real));
    table.Add(std::move(row));
  }
  return table.Render(colour);
}

}  // namespace

std::string_view Name(v1::Tracking tracking) {
  return tracking == v1::TRACKING_NONE ? "none" : tracking == v1::TRACKING_ALL ? "all" : "moving";
}
std::string_view Name(v1::RealState state) { return state == v1::REAL_STATE_DRAIN ? "drain" : "active"; }

std::string FormatChanges(const v1::ChangeReply& reply, bool colour) {
  return FormatChangeLines(reply.changes(), colour);
}

std::string FormatHost(const v1::State& state, bool colour) {
  std::string out;
  if (!state.host().empty()) {
    const bool serves = state.host() == "serving";
    out += fmt::format("host        {}{}\n", Styled(state.host(), serves ? Style::kPlain : Style::kBad, colour),
                       serves ? "" : ": its VIPs are not to be announced");
  }
  for (const v1::InterfaceState& interface : state.interfaces()) {
    const std::string problem = interface.problem().substr(0, interface.problem().find('\n'));
    out +=
        fmt::format("interface   {}  {}\n", interface.name(),
                    interface.attached() ? interface.mode() : Styled("not attached: " + problem, Style::kBad, colour));
  }
  return out;
}

std::string FormatOverview(const v1::State& state, bool colour) {
  std::string out = FormatHost(state, colour);
  if (state.has_unconfirmed()) {
    out += Styled(fmt::format("generation {} of the store waits to be confirmed: {}\n", state.generation(),
                              UnconfirmedWords(state.unconfirmed())),
                  Style::kBad, colour);
  }
  for (const v1::VipState& vip : state.vips()) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}; {}\n", SettingWords(vip, colour), TrafficWords(vip.traffic()));
    if (IsChecked(vip) && !IsAllWell(vip)) out += fmt::format("  {}\n", HealthLine(vip, colour));
    if (!IsSettled(vip.settling())) out += fmt::format("  {}\n", UnsettledLine(vip.settling()));
    out += RealTable(vip, colour);
  }
  return out;
}

std::string FormatVip(const v1::VipState& vip, bool colour) {
  std::string out = fmt::format("{}{}\n", SettingWords(vip, colour), TimeWords(vip));
  if (IsChecked(vip)) out += fmt::format("  health      {}; {}\n", HealthLine(vip, colour), vip.check());
  if (!vip.active_group().empty()) out += fmt::format("  group       {} takes new flows\n", vip.active_group());
  if (vip.has_settling()) {
    const v1::Settling& settling = vip.settling();
    out += fmt::format("  slots       {} stable, {} moving, {} settled with exceptions\n",
                       Grouped(settling.stable_slots()), Grouped(settling.moving_slots()),
                       Grouped(settling.slots_with_exceptions()));
    out += fmt::format("  settled     {}\n", IsSettled(settling) ? "yes" : SettledWhen(settling));
    out += fmt::format("  flow table  {} flows remembered, {} refused\n", Grouped(settling.remembered_flows()),
                       Grouped(settling.refused_flows()));
  }
  if (vip.has_activity()) {
    const v1::Activity& activity = vip.activity();
    out += fmt::format("  flows       ≈ {}", Grouped(static_cast<uint64_t>(std::llround(activity.flows()))));
    if (activity.has_new_flows_per_second()) {
      out += fmt::format(", {} new ones per second", FlowRate(activity.new_flows_per_second()));
    }
    out += '\n';
  }
  out += fmt::format("  traffic     {}\n", TrafficWords(vip.traffic()));
  return out + RealTable(vip, colour);
}

std::string FormatVipList(const v1::State& state, bool colour) {
  Table table({{"VIP"},
               {"TRACKING"},
               {"RING SIZE", kRight},
               {"OUTER TTL", kRight},
               {"REALS", kRight},
               {"HEALTHY", kRight},
               {"PACKETS", kRight},
               {"BYTES", kRight},
               {"NEW FLOWS", kRight}});
  for (const v1::VipState& vip : state.vips()) {
    Row row{vip.vip(), std::string(Name(vip.tracking())), std::to_string(vip.ring_size()),
            std::to_string(vip.outer_ttl()), std::to_string(vip.reals_size())};
    row.push_back(HealthCell(vip));
    AddTraffic(vip.traffic(), row);
    table.Add(std::move(row));
  }
  return table.Render(colour);
}

std::string FormatRealList(const v1::State& state, bool colour) {
  Table table({{"VIP"},
               {"REAL"},
               {"WEIGHT", kRight},
               {"STATE"},
               {"HEALTH"},
               {"SLOTS", kRight},
               {"SHARE", kRight},
               {"NEXT HOP"}});
  for (const v1::VipState& vip : state.vips()) {
    for (const v1::RealStatus& real : vip.reals()) {
      table.Add({vip.vip(), real.address(), std::to_string(real.weight()), StateCell(real), HealthCell(real),
                 std::to_string(real.slots()), Percent(real.slots(), vip.ring_size()), NextHopCell(real)});
    }
  }
  return table.Render(colour);
}

std::string FormatStats(const v1::State& state, bool colour) {
  Table table({{"VIP"},
               {"REAL"},
               {"≈ FLOWS", kRight},
               {"NEW FLOWS/S", kRight},
               {"PACKETS", kRight},
               {"BYTES", kRight},
               {"NEW FLOWS", kRight}});
  const auto add = [&](Row row, const auto& status) {
    row.push_back(FlowsCell(status));
    row.push_back(FlowRateCell(status));
    AddTraffic(status.traffic(), row);
    table.Add(std::move(row));
  };
  for (const v1::VipState& vip : state.vips()) {
    add({{vip.vip(), Style::kBold}, ""}, vip);
    for (const v1::RealStatus& real : vip.reals()) add({"", real.address()}, real);
  }
  return table.Render(colour);
}

std::string FormatRates(const v1::State& before, const v1::State& state, double seconds, bool colour) {
  Table table({{"VIP"},
               {"REAL"},
               {"≈ FLOWS", kRight},
               {"PACKETS", kRight},
               {"BYTES", kRight},
               {"NEW FLOWS", kRight},
               {"PACKETS/S", kRight},
               {"BYTES/S", kRight},
               {"NEW FLOWS/S", kRight}});
  const auto add = [&](Row row, const v1::Traffic& then, const auto& status) {
    const v1::Traffic& now = status.traffic();
    row.push_back(FlowsCell(status));
    AddTraffic(now, row);
    row.push_back(RateCell(PerSecond(then.packets(), now.packets(), seconds)));
    row.push_back(RateCell(PerSecond(then.bytes(), now.bytes(), seconds)));
    row.push_back(now.has_new_flows() ? RateCell(PerSecond(then.new_flows(), now.new_flows(), seconds))
                                      : NothingCell());
    table.Add(std::move(row));
  };
  for (const v1::VipState& vip : state.vips()) {
    add({{vip.vip(), Style::kBold}, ""}, TrafficOf(before, vip.vip()), vip);
    for (const v1::RealStatus& real : vip.reals()) {
      add({"", real.address()}, TrafficOf(before, vip.vip(), real.address()), real);
    }
  }
  return table.Render(colour);
}

std::string FormatVerdicts(const v1::Verdicts& verdicts, bool all, bool colour) {
  Table table({{"VERDICT"}, {"ACTION"}, {"PACKETS", kRight}, {"BYTES", kRight}, {"MEANS"}});
  uint64_t packets = 0;
  uint64_t bytes = 0;
  for (const v1::VerdictCount& verdict : verdicts.verdicts()) {
    packets += verdict.packets();
    bytes += verdict.bytes();
    if (verdict.packets() == 0 && !all) continue;
    const Style style = verdict.packets() == 0 ? Style::kDim : Style::kPlain;
    table.Add({{verdict.name(), style},
               {verdict.action(), style},
               {Grouped(verdict.packets()), style},
               {Grouped(verdict.bytes()), style},
               {verdict.sentence(), style}});
  }
  table.Add({{"total", Style::kBold}, "", {Grouped(packets), Style::kBold}, {Grouped(bytes), Style::kBold}, ""});
  return table.Render(colour);
}

std::string FormatFlows(const v1::Flows& flows, bool colour) {
  Table table({{"SOURCE"}, {"DESTINATION"}, {"REAL"}, {"IDLE", kRight}});
  for (const v1::Flow& flow : flows.flows()) {
    table.Add({flow.source(), flow.destination(), flow.real(), Duration(flow.idle_seconds())});
  }
  return table.Render(colour);
}

std::string FormatExplanation(const v1::Explanation& explanation, bool colour) {
  Table steps({{"STAGE"}, {"FINDS"}});
  for (const v1::Step& step : explanation.steps()) steps.Add({step.stage(), step.sentence()});
  const bool dropped = explanation.action() == "XDP_DROP";
  std::string out = steps.Render(colour);
  out += fmt::format("\nverdict  {} ({}): {}\n",
                     Styled(explanation.verdict(), dropped ? Style::kBad : Style::kGood, colour), explanation.action(),
                     explanation.sentence());
  if (!explanation.vip().empty()) out += fmt::format("VIP      {}\n", explanation.vip());
  if (!explanation.real().empty()) out += fmt::format("real     {}\n", explanation.real());
  return out;
}

double PerSecond(uint64_t before, uint64_t now, double seconds) {
  return now < before || seconds <= 0 ? 0 : static_cast<double>(now - before) / seconds;
}

const v1::Traffic& TrafficOf(const v1::State& state, const std::string& vip) {
  const auto found = Find(state.vips(), vip, &v1::VipState::vip);
  return found == state.vips().end() ? v1::Traffic::default_instance() : found->traffic();
}

const v1::Traffic& TrafficOf(const v1::State& state, const std::string& vip, const std::string& real) {
  const auto found = Find(state.vips(), vip, &v1::VipState::vip);
  if (found == state.vips().end()) return v1::Traffic::default_instance();
  const auto status = Find(found->reals(), real, &v1::RealStatus::address);
  return status == found->reals().end() ? v1::Traffic::default_instance() : status->traffic();
}

}  // namespace shunt::ctl

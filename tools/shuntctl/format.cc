// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/shuntctl/table.h"

namespace shunt::ctl {
namespace {

constexpr Table::Align kRight = Table::Align::kRight;

using Row = std::vector<Table::Cell>;

void AddTraffic(const v1::Traffic& traffic, Row& row) {
  for (const uint64_t count : {traffic.packets(), traffic.bytes(), traffic.new_flows()}) {
    row.emplace_back(Grouped(count), count == 0 ? Style::kDim : Style::kPlain);
  }
}

Table::Cell StateCell(v1::RealState state) {
  return {std::string(Name(state)), state == v1::REAL_STATE_DRAIN ? Style::kDim : Style::kPlain};
}

Table::Cell NextHopCell(const v1::RealStatus& real) {
  if (real.next_hop().empty()) return {"none: " + real.problem(), Style::kBad};
  return {real.next_hop()};
}

template <class Rows, class Key>
auto Find(const Rows& rows, const std::string& name, Key key) {
  return std::ranges::find_if(rows, [&](const auto& row) { return (row.*key)() == name; });
}

}  // namespace

std::string_view Name(v1::Tracking tracking) { return tracking == v1::TRACKING_NONE ? "none" : "all"; }
std::string_view Name(v1::RealState state) { return state == v1::REAL_STATE_DRAIN ? "drain" : "active"; }

std::string FormatChanges(const v1::ChangeReply& reply, bool colour) {
  if (reply.changes().empty()) return "no changes\n";
  std::string out;
  for (const std::string& change : reply.changes()) {
    const Style style = change.starts_with('+') ? Style::kGood : change.starts_with('-') ? Style::kBad : Style::kPlain;
    out += Styled(change, style, colour) + '\n';
  }
  return out;
}

std::string FormatOverview(const v1::State& state, bool colour) {
  std::string out;
  for (const v1::VipState& vip : state.vips()) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}  tracking {}, {} slots, outer TTL {}; {} packets, {} bytes, {} new flows\n",
                       Styled(vip.vip(), Style::kBold, colour), Name(vip.tracking()), Grouped(vip.ring_size()),
                       vip.outer_ttl(), Grouped(vip.traffic().packets()), Grouped(vip.traffic().bytes()),
                       Grouped(vip.traffic().new_flows()));
    if (vip.reals().empty()) {
      out += Styled(fmt::format("  no reals; add one: shuntctl real add {} ADDRESS\n", vip.vip()), Style::kDim, colour);
      continue;
    }
    Table table({{"REAL"},
                 {"WEIGHT", kRight},
                 {"STATE"},
                 {"SHARE", kRight},
                 {"PACKETS", kRight},
                 {"BYTES", kRight},
                 {"NEW FLOWS", kRight},
                 {"NEXT HOP"}},
                2);
    for (const v1::RealStatus& real : vip.reals()) {
      Row row{real.address(), std::to_string(real.weight()), StateCell(real.state()),
              Percent(real.slots(), vip.ring_size())};
      AddTraffic(real.traffic(), row);
      row.push_back(NextHopCell(real));
      table.Add(std::move(row));
    }
    out += table.Render(colour);
  }
  return out;
}

std::string FormatVipList(const v1::State& state, bool colour) {
  Table table({{"VIP"},
               {"TRACKING"},
               {"RING SIZE", kRight},
               {"OUTER TTL", kRight},
               {"REALS", kRight},
               {"PACKETS", kRight},
               {"BYTES", kRight},
               {"NEW FLOWS", kRight}});
  for (const v1::VipState& vip : state.vips()) {
    Row row{vip.vip(), std::string(Name(vip.tracking())), std::to_string(vip.ring_size()),
            std::to_string(vip.outer_ttl()), std::to_string(vip.reals_size())};
    AddTraffic(vip.traffic(), row);
    table.Add(std::move(row));
  }
  return table.Render(colour);
}

std::string FormatRealList(const v1::State& state, bool colour) {
  Table table({{"VIP"}, {"REAL"}, {"WEIGHT", kRight}, {"STATE"}, {"SLOTS", kRight}, {"SHARE", kRight}, {"NEXT HOP"}});
  for (const v1::VipState& vip : state.vips()) {
    for (const v1::RealStatus& real : vip.reals()) {
      table.Add({vip.vip(), real.address(), std::to_string(real.weight()), StateCell(real.state()),
                 std::to_string(real.slots()), Percent(real.slots(), vip.ring_size()), NextHopCell(real)});
    }
  }
  return table.Render(colour);
}

std::string FormatStats(const v1::State& state, bool colour) {
  Table table({{"VIP"}, {"REAL"}, {"PACKETS", kRight}, {"BYTES", kRight}, {"NEW FLOWS", kRight}});
  for (const v1::VipState& vip : state.vips()) {
    Row sum{{vip.vip(), Style::kBold}, ""};
    AddTraffic(vip.traffic(), sum);
    table.Add(std::move(sum));
    for (const v1::RealStatus& real : vip.reals()) {
      Row row{"", real.address()};
      AddTraffic(real.traffic(), row);
      table.Add(std::move(row));
    }
  }
  return table.Render(colour);
}

std::string FormatRates(const v1::State& before, const v1::State& state, double seconds, bool colour) {
  Table table({{"VIP"},
               {"REAL"},
               {"PACKETS", kRight},
               {"BYTES", kRight},
               {"NEW FLOWS", kRight},
               {"PACKETS/S", kRight},
               {"BYTES/S", kRight},
               {"NEW FLOWS/S", kRight}});
  const auto add = [&](Row row, const v1::Traffic& then, const v1::Traffic& now) {
    AddTraffic(now, row);
    for (const double rate :
         {PerSecond(then.packets(), now.packets(), seconds), PerSecond(then.bytes(), now.bytes(), seconds),
          PerSecond(then.new_flows(), now.new_flows(), seconds)}) {
      const auto whole = static_cast<uint64_t>(std::llround(rate));
      row.emplace_back(Grouped(whole), whole == 0 ? Style::kDim : Style::kPlain);
    }
    table.Add(std::move(row));
  };
  for (const v1::VipState& vip : state.vips()) {
    add({{vip.vip(), Style::kBold}, ""}, TrafficOf(before, vip.vip()), vip.traffic());
    for (const v1::RealStatus& real : vip.reals()) {
      add({"", real.address()}, TrafficOf(before, vip.vip(), real.address()), real.traffic());
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
  Table table({{"SOURCE"}, {"DESTINATION"}, {"REAL"}});
  for (const v1::Flow& flow : flows.flows()) table.Add({flow.source(), flow.destination(), flow.real()});
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

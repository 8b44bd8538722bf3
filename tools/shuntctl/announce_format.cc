// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/announce_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "tools/shuntctl/table.h"

namespace shunt::ctl {
namespace {

Style StyleOf(const std::string& state) {
  if (state == "announced") return Style::kGood;
  return state == "withdrawn" ? Style::kBad : Style::kBold;
}

bool IsLarge(const std::string& community) { return std::ranges::count(community, ':') == 2; }

std::string BirdPair(std::string community) {
  std::ranges::replace(community, ':', ',');
  return community;
}

bool IsIpv6(const std::string& prefix) { return prefix.find(':') != std::string::npos; }

// Those of one kind, with spaces between.
std::string Of(const v1::PrefixState& prefix, bool large) {
  std::vector<std::string> words;
  for (const std::string& community : prefix.communities()) {
    if (IsLarge(community) == large) words.push_back(community);
  }
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace

std::string FormatAnnouncements(const v1::Announcements& announcements, bool colour) {
  std::string out = announcements.table() == 0
                        ? "no routes are kept (shuntd --announce_table); it would be:\n"
                        : fmt::format("routes in table {}, protocol {}; the host is {}\n", announcements.table(),
                                      announcements.protocol(), announcements.host());
  if (!announcements.problem().empty()) out += Styled(announcements.problem(), Style::kBad, colour) + '\n';
  Table table({{"PREFIX"}, {"STATE"}, {"METRIC", Table::Align::kRight}, {"VIPS", Table::Align::kRight}, {"WHY"}});
  for (const v1::PrefixState& prefix : announcements.prefixes()) {
    std::string why = prefix.cause();
    if (prefix.has_held_seconds()) why = fmt::format("{} s more {}", prefix.held_seconds(), why);
    if (prefix.communities_size() > 0) why += fmt::format("; {}", fmt::join(prefix.communities(), " "));
    table.Add({prefix.prefix(),
               {prefix.state(), StyleOf(prefix.state())},
               prefix.metric() == 0 ? "-" : std::to_string(prefix.metric()),
               std::to_string(prefix.vips_size()),
               why});
  }
  return table.empty() ? out : out + table.Render(colour);
}

Json ToJson(const v1::Announcements& announcements) {
  Json prefixes = Json::array();
  for (const v1::PrefixState& prefix : announcements.prefixes()) {
    prefixes.push_back({{"prefix", prefix.prefix()},
                        {"state", prefix.state()},
                        {"metric", prefix.metric() == 0 ? Json(nullptr) : Json(prefix.metric())},
                        {"cause", prefix.cause()},
                        {"since_ms", prefix.since_ms()},
                        {"held_seconds", prefix.has_held_seconds() ? Json(prefix.held_seconds()) : Json(nullptr)},
                        {"communities", std::vector(prefix.communities().begin(), prefix.communities().end())},
                        {"vips", std::vector(prefix.vips().begin(), prefix.vips().end())}});
  }
  Json vips = Json::array();
  for (const v1::VipAnnouncing& vip : announcements.vips()) {
    vips.push_back({{"vip", vip.vip()},
                    {"state", vip.state()},
                    {"cause", vip.cause()},
                    {"healthy_reals", vip.healthy_reals()},
                    {"healthy_percent", vip.healthy_percent()}});
  }
  const auto& problem = announcements.problem();
  return {{"table", announcements.table() == 0 ? Json(nullptr) : Json(announcements.table())},
          {"protocol", announcements.protocol()},
          {"problem", problem.empty() ? Json(nullptr) : Json(problem)},
          {"host", announcements.host()},
          {"prefixes", std::move(prefixes)},
          {"vips", std::move(vips)}};
}

std::string BirdFilter(const v1::Announcements& announcements) {
  std::string out =
      "# Made by shuntctl announce filter bird. A filter calls shunt_communities().\n"
      "function shunt_communities()\n{\n";
  for (const v1::PrefixState& prefix : announcements.prefixes()) {
    if (prefix.communities_size() == 0) continue;
    out += fmt::format("  if net = {} then {{\n", prefix.prefix());
    for (const std::string& community : prefix.communities()) {
      out += fmt::format("    {}.add(({}));\n", IsLarge(community) ? "bgp_large_community" : "bgp_community",
                         BirdPair(community));
    }
    out += "  }\n";
  }
  return out + "}\n";
}

std::string FrrFilter(const v1::Announcements& announcements) {
  std::string lists;
  std::string maps;
  int number = 0;
  for (const v1::PrefixState& prefix : announcements.prefixes()) {
    if (prefix.communities_size() == 0) continue;
    ++number;
    const char* family = IsIpv6(prefix.prefix()) ? "ipv6" : "ip";
    const std::string list = fmt::format("SHUNT-PREFIX-{}", number);
    lists += fmt::format("{} prefix-list {} seq 5 permit {}\n", family, list, prefix.prefix());
    maps +=
        fmt::format("route-map SHUNT-COMMUNITIES permit {}\n match {} address prefix-list {}\n", number, family, list);
    if (const std::string standard = Of(prefix, false); !standard.empty())
      maps += fmt::format(" set community {} additive\n", standard);
    if (const std::string large = Of(prefix, true); !large.empty())
      maps += fmt::format(" set large-community {} additive\n", large);
    maps += "exit\n";
  }
  return "! Made by shuntctl announce filter frr. A route-map calls SHUNT-COMMUNITIES.\n"
         "no route-map SHUNT-COMMUNITIES\n" +
         lists + maps + "route-map SHUNT-COMMUNITIES permit 65535\nexit\n";
}

}  // namespace shunt::ctl

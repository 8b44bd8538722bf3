// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/diff.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string_view>

namespace shunt {
namespace {

using Lines = std::vector<std::string>;

std::string Text(Tracking tracking) {
  return tracking == Tracking::kNone ? "none" : tracking == Tracking::kAll ? "all" : "moving";
}
std::string Text(RealState state) { return state == RealState::kActive ? "active" : "drain"; }
std::string Text(bool yes) { return yes ? "true" : "false"; }
std::string Text(uint8_t number) { return std::to_string(number); }
std::string Text(uint32_t number) { return std::to_string(number); }
std::string Text(const Prefix& prefix) { return prefix.ToString(); }

template <class T>
std::string Text(const std::optional<T>& value, std::string_view unset) {
  return value ? Text(*value) : std::string(unset);
}

// Adds "~ object: name from -> to" if they differ.
void Change(std::string_view object, std::string_view name, const std::string& from, const std::string& to,
            Lines& lines) {
  if (from != to) lines.push_back(fmt::format("~ {}: {} {} -> {}", object, name, from, to));
}

std::string RealName(const VipKey& key, const IpAddress& address) {
  return fmt::format("real {} {}", key.ToString(), address.ToString());
}

// A new real, with what it does not take from the defaults.
std::string AddedReal(const VipKey& key, const IpAddress& address, const Real& real) {
  std::string details;
  if (real.weight != kDefaultWeight) details += fmt::format("weight {}", real.weight);
  if (real.state != RealState::kActive) details += (details.empty() ? "state " : ", state ") + Text(real.state);
  return fmt::format("+ {}{}{}", RealName(key, address), details.empty() ? "" : ": ", details);
}

// A new VIP, likewise.
std::string AddedVip(const VipKey& key, const Vip& vip) {
  std::string details;
  const auto add = [&](std::string_view name, const std::string& value) {
    details += fmt::format("{}{} {}", details.empty() ? ": " : ", ", name, value);
  };
  if (vip.tracking) add("tracking", Text(*vip.tracking));
  if (vip.ring_size) add("ring_size", Text(*vip.ring_size));
  if (vip.outer_ttl) add("outer_ttl", Text(*vip.outer_ttl));
  if (vip.udp_idle_seconds) add("udp_idle_seconds", Text(*vip.udp_idle_seconds));
  if (vip.tcp_settle_seconds) add("tcp_settle_seconds", Text(*vip.tcp_settle_seconds));
  if (vip.quic) add("quic", Text(vip.quic));
  return fmt::format("+ vip {}{}", key.ToString(), details);
}

// The keys of both maps, in order.
template <class Map>
std::set<typename Map::key_type> Keys(const Map& from, const Map& to) {
  std::set<typename Map::key_type> keys;
  for (const auto& entry : from) keys.insert(keys.end(), entry.first);
  for (const auto& entry : to) keys.insert(entry.first);
  return keys;
}

template <class Map>
const typename Map::mapped_type* Find(const Map& map, const typename Map::key_type& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

void DiffReals(const VipKey& key, const Vip& from, const Vip& to, Lines& lines) {
  for (const IpAddress& address : Keys(from.reals, to.reals)) {
    const Real* before = Find(from.reals, address);
    const Real* after = Find(to.reals, address);
    if (before == nullptr) {
      lines.push_back(AddedReal(key, address, *after));
    } else if (after == nullptr) {
      lines.push_back("- " + RealName(key, address));
    } else {
      Change(RealName(key, address), "weight", Text(before->weight), Text(after->weight), lines);
      Change(RealName(key, address), "state", Text(before->state), Text(after->state), lines);
    }
  }
}

void DiffVip(const VipKey& key, const Vip* before, const Vip* after, Lines& lines) {
  const std::string name = "vip " + key.ToString();
  if (before == nullptr) {
    lines.push_back(AddedVip(key, *after));
  } else if (after == nullptr) {
    lines.push_back("- " + name);
  } else {
    Change(name, "tracking", Text(before->tracking, "default"), Text(after->tracking, "default"), lines);
    Change(name, "ring_size", Text(before->ring_size, "default"), Text(after->ring_size, "default"), lines);
    Change(name, "outer_ttl", Text(before->outer_ttl, "default"), Text(after->outer_ttl, "default"), lines);
    Change(name, "udp_idle_seconds", Text(before->udp_idle_seconds, "default"),
           Text(after->udp_idle_seconds, "default"), lines);
    Change(name, "tcp_settle_seconds", Text(before->tcp_settle_seconds, "default"),
           Text(after->tcp_settle_seconds, "default"), lines);
    Change(name, "quic", Text(before->quic), Text(after->quic), lines);
  }
  static const Vip kNone;
  DiffReals(key, before == nullptr ? kNone : *before, after == nullptr ? kNone : *after, lines);
}

void DiffDefaults(const VipSettings& from, const VipSettings& to, Lines& lines) {
  Change("defaults", "tracking", Text(from.tracking), Text(to.tracking), lines);
  Change("defaults", "ring_size", Text(from.ring_size), Text(to.ring_size), lines);
  Change("defaults", "outer_ttl", Text(from.outer_ttl), Text(to.outer_ttl), lines);
  Change("defaults", "udp_idle_seconds", Text(from.udp_idle_seconds), Text(to.udp_idle_seconds), lines);
  Change("defaults", "tcp_settle_seconds", Text(from.tcp_settle_seconds), Text(to.tcp_settle_seconds), lines);
}

}  // namespace

std::vector<std::string> Diff(const DesiredState& from, const DesiredState& to) {
  Lines lines;
  if (from.hash_key != to.hash_key) lines.push_back("~ hash_key");  // a secret: not shown
  DiffDefaults(from.defaults, to.defaults, lines);
  const OuterSource& before = from.outer_source;
  const OuterSource& after = to.outer_source;
  Change("outer_source", "ipv4", Text(before.ipv4, "unset"), Text(after.ipv4, "unset"), lines);
  Change("outer_source", "ipv6", Text(before.ipv6, "unset"), Text(after.ipv6, "unset"), lines);
  for (const VipKey& key : Keys(from.vips, to.vips)) {
    DiffVip(key, Find(from.vips, key), Find(to.vips, key), lines);
  }
  return lines;
}

}  // namespace shunt

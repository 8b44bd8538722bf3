// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/diff.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "userspace/model/health_fields.h"

namespace shunt {
namespace {

using Lines = std::vector<std::string>;

std::string Text(Tracking tracking) {
  return tracking == Tracking::kNone ? "none" : tracking == Tracking::kAll ? "all" : "moving";
}
std::string Text(RealState state) { return state == RealState::kActive ? "active" : "drain"; }
std::string Text(HostState state) { return state == HostState::kServe ? "serve" : "drain"; }
std::string Text(bool yes) { return yes ? "true" : "false"; }
std::string Text(uint8_t number) { return std::to_string(number); }
std::string Text(uint32_t number) { return std::to_string(number); }
std::string Text(double number) { return fmt::format("{}", number); }
std::string Text(PanicAction action) { return std::string(ToString(action)); }
std::string Text(const HealthCheck& check) { return Summary(check); }
std::string Text(const Prefix& prefix) { return prefix.ToString(); }
std::string GroupText(const std::string& group) { return group.empty() ? "none" : group; }

std::string CanaryText(const std::optional<uint32_t>& tenths) {
  return tenths ? fmt::format("{}", *tenths / 10.0) : "none";
}

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

// A new VIP or real, with what it does not take from the defaults: "+ object: name value, name value".
class Added {
 public:
  explicit Added(std::string_view object) : line_(fmt::format("+ {}", object)) {}

  void Add(std::string_view name, const std::string& value) {
    line_ += fmt::format("{} {} {}", std::exchange(first_, false) ? ":" : ",", name, value);
  }
  template <class T>
  void AddIfSet(std::string_view name, const std::optional<T>& value) {
    if (value) Add(name, Text(*value));
  }
  const std::string& line() const { return line_; }

 private:
  std::string line_;
  bool first_ = true;
};

std::string AddedReal(const VipKey& key, const IpAddress& address, const Real& real) {
  Added added(RealName(key, address));
  if (real.weight != kDefaultWeight) added.Add("weight", Text(real.weight));
  if (real.state != RealState::kActive) added.Add("state", Text(real.state));
  added.AddIfSet("drain_seconds", real.drain_seconds);
  if (real.backup) added.Add("backup", Text(real.backup));
  if (real.canary_tenths) added.Add("canary_percent", CanaryText(real.canary_tenths));
  if (!real.group.empty()) added.Add("group", real.group);
  return added.line();
}

std::string AddedVip(const VipKey& key, const Vip& vip) {
  Added added("vip " + key.ToString());
  added.AddIfSet("tracking", vip.tracking);
  added.AddIfSet("ring_size", vip.ring_size);
  added.AddIfSet("outer_ttl", vip.outer_ttl);
  added.AddIfSet("udp_idle_seconds", vip.udp_idle_seconds);
  added.AddIfSet("tcp_settle_seconds", vip.tcp_settle_seconds);
  if (vip.quic) added.Add("quic", Text(vip.quic));
  added.AddIfSet("health", vip.health);
  added.AddIfSet("panic_percent", vip.panic_percent);
  added.AddIfSet("panic_action", vip.panic_action);
  added.AddIfSet("slow_start_seconds", vip.slow_start_seconds);
  added.AddIfSet("slow_start_exponent", vip.slow_start_exponent);
  added.AddIfSet("backup_below_percent", vip.backup_below_percent);
  added.AddIfSet("ring_changes_per_second", vip.ring_changes_per_second);
  for (const AnnounceField& field : AnnounceFields()) {
    if (const std::string text = field.text(vip.announce); !text.empty())
      added.Add(fmt::format("announce.{}", field.name), text);
  }
  if (!vip.active_group.empty()) added.Add("active_group", vip.active_group);
  return added.line();
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

void DiffReal(const std::string& name, const Real& from, const Real& to, Lines& lines) {
  Change(name, "weight", Text(from.weight), Text(to.weight), lines);
  Change(name, "state", Text(from.state), Text(to.state), lines);
  Change(name, "drain_seconds", Text(from.drain_seconds, "none"), Text(to.drain_seconds, "none"), lines);
  Change(name, "backup", Text(from.backup), Text(to.backup), lines);
  Change(name, "canary_percent", CanaryText(from.canary_tenths), CanaryText(to.canary_tenths), lines);
  Change(name, "group", GroupText(from.group), GroupText(to.group), lines);
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
      DiffReal(RealName(key, address), *before, *after, lines);
    }
  }
}

// Field by field, "health.interval_ms 2000 -> 1000".
void DiffChecks(std::string_view object, const HealthCheck& from, const HealthCheck& to, Lines& lines) {
  Change(object, "health.kind", std::string(ToString(from.kind)), std::string(ToString(to.kind)), lines);
  for (const CheckField& field : CheckFields()) {
    // The texts of two values may be the same, since long ones are cut.
    if (field.equal(from, to)) continue;
    lines.push_back(fmt::format("~ {}: health.{} {} -> {}", object, field.name, field.text(from), field.text(to)));
  }
}

void DiffAnnounce(std::string_view object, const AnnounceSettings& from, const AnnounceSettings& to, Lines& lines) {
  const auto text = [](const AnnounceField& field, const AnnounceSettings& settings) {
    const std::string value = field.text(settings);
    return value.empty() ? std::string("default") : value;
  };
  for (const AnnounceField& field : AnnounceFields()) {
    Change(object, fmt::format("announce.{}", field.name), text(field, from), text(field, to), lines);
  }
}

void DiffSettings(const std::string& name, const Vip& from, const Vip& to, Lines& lines) {
  const auto change = [&](std::string_view setting, const auto& before, const auto& after) {
    Change(name, setting, Text(before, "default"), Text(after, "default"), lines);
  };
  change("tracking", from.tracking, to.tracking);
  change("ring_size", from.ring_size, to.ring_size);
  change("outer_ttl", from.outer_ttl, to.outer_ttl);
  change("udp_idle_seconds", from.udp_idle_seconds, to.udp_idle_seconds);
  change("tcp_settle_seconds", from.tcp_settle_seconds, to.tcp_settle_seconds);
  Change(name, "quic", Text(from.quic), Text(to.quic), lines);
  if (from.health && to.health) {
    DiffChecks(name, *from.health, *to.health, lines);
  } else {
    change("health", from.health, to.health);
  }
  change("panic_percent", from.panic_percent, to.panic_percent);
  change("panic_action", from.panic_action, to.panic_action);
  change("slow_start_seconds", from.slow_start_seconds, to.slow_start_seconds);
  change("slow_start_exponent", from.slow_start_exponent, to.slow_start_exponent);
  change("backup_below_percent", from.backup_below_percent, to.backup_below_percent);
  change("ring_changes_per_second", from.ring_changes_per_second, to.ring_changes_per_second);
  DiffAnnounce(name, from.announce, to.announce, lines);
  Change(name, "active_group", GroupText(from.active_group), GroupText(to.active_group), lines);
}

void DiffVip(const VipKey& key, const Vip* before, const Vip* after, Lines& lines) {
  const std::string name = "vip " + key.ToString();
  if (before == nullptr) {
    lines.push_back(AddedVip(key, *after));
  } else if (after == nullptr) {
    lines.push_back("- " + name);
  } else {
    DiffSettings(name, *before, *after, lines);
  }
  static const Vip kNone;
  DiffReals(key, before == nullptr ? kNone : *before, after == nullptr ? kNone : *after, lines);
}

void DiffDefaults(const VipSettings& from, const VipSettings& to, Lines& lines) {
  const auto change = [&](std::string_view setting, const auto& before, const auto& after) {
    Change("defaults", setting, Text(before), Text(after), lines);
  };
  change("tracking", from.tracking, to.tracking);
  change("ring_size", from.ring_size, to.ring_size);
  change("outer_ttl", from.outer_ttl, to.outer_ttl);
  change("udp_idle_seconds", from.udp_idle_seconds, to.udp_idle_seconds);
  change("tcp_settle_seconds", from.tcp_settle_seconds, to.tcp_settle_seconds);
  DiffChecks("defaults", from.health, to.health, lines);
  change("panic_percent", from.panic_percent, to.panic_percent);
  change("panic_action", from.panic_action, to.panic_action);
  change("slow_start_seconds", from.slow_start_seconds, to.slow_start_seconds);
  change("slow_start_exponent", from.slow_start_exponent, to.slow_start_exponent);
  change("backup_below_percent", from.backup_below_percent, to.backup_below_percent);
  change("ring_changes_per_second", from.ring_changes_per_second, to.ring_changes_per_second);
  DiffAnnounce("defaults", from.announce, to.announce, lines);
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
  Change("host", "state", Text(from.host, "serve"), Text(to.host, "serve"), lines);
  for (const VipKey& key : Keys(from.vips, to.vips)) {
    DiffVip(key, Find(from.vips, key), Find(to.vips, key), lines);
  }
  return lines;
}

}  // namespace shunt

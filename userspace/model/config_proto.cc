// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/config_proto.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "userspace/model/announce_proto.h"
#include "userspace/model/enum_proto.h"

namespace shunt {
namespace {

using Problems = std::vector<Problem>;

// The message never shows what was found: the key is a secret.
std::optional<HashKey> HashKeyFrom(const std::string& text, Problems& problems) {
  HashKey key{};
  bool good = text.size() == 2 + 2 * key.size() && text.starts_with("0x");
  for (size_t i = 0; good && i < key.size(); ++i) {
    const char* digits = text.data() + 2 + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, key[i], 16);
    good = error == std::errc() && end == digits + 2;
  }
  if (!good) {
    problems.push_back({"hash_key", "expected 0x and 32 hexadecimal digits"});
    return std::nullopt;
  }
  if (key == HashKey{}) {
    problems.push_back({"hash_key", "all zero is no secret; leave the key out and the daemon makes one"});
    return std::nullopt;
  }
  return key;
}

constexpr std::pair<Tracking, v1::Tracking> kTrackings[] = {
    {Tracking::kNone, v1::TRACKING_NONE},
    {Tracking::kAll, v1::TRACKING_ALL},
    {Tracking::kMoving, v1::TRACKING_MOVING},
};
constexpr std::pair<HostState, v1::HostState> kHostStates[] = {
    {HostState::kServe, v1::HOST_STATE_SERVE},
    {HostState::kDrain, v1::HOST_STATE_DRAIN},
};
constexpr std::pair<RealState, v1::RealState> kRealStates[] = {
    {RealState::kActive, v1::REAL_STATE_ACTIVE},
    {RealState::kDrain, v1::REAL_STATE_DRAIN},
};

// Only what does not fit a byte is refused here; 0 is Validate()'s.
std::optional<uint8_t> OuterTtlFrom(uint32_t value, const std::string& path, Problems& problems) {
  if (value <= std::numeric_limits<uint8_t>::max()) return static_cast<uint8_t>(value);
  problems.push_back({path, fmt::format("{} is out of range; expected 1 to 255", value)});
  return std::nullopt;
}

VipSettings DefaultsFrom(const v1::VipSettings& defaults, Problems& problems) {
  VipSettings settings;
  if (defaults.has_tracking()) {
    settings.tracking =
        ValueOf(kTrackings, defaults.tracking(), "defaults.tracking", problems).value_or(settings.tracking);
  }
  if (defaults.has_ring_size()) settings.ring_size = defaults.ring_size();
  if (defaults.has_outer_ttl()) {
    settings.outer_ttl =
        OuterTtlFrom(defaults.outer_ttl(), "defaults.outer_ttl", problems).value_or(settings.outer_ttl);
  }
  if (defaults.has_udp_idle_seconds()) settings.udp_idle_seconds = defaults.udp_idle_seconds();
  if (defaults.has_tcp_settle_seconds()) settings.tcp_settle_seconds = defaults.tcp_settle_seconds();
  if (defaults.has_health()) FromProto(defaults.health(), "defaults.health", settings.health, problems);
  if (defaults.has_panic_percent()) settings.panic_percent = defaults.panic_percent();
  if (defaults.has_panic_action()) {
    settings.panic_action =
        PanicActionFrom(defaults.panic_action(), "defaults.panic_action", problems).value_or(settings.panic_action);
  }
  if (defaults.has_slow_start_seconds()) settings.slow_start_seconds = defaults.slow_start_seconds();
  if (defaults.has_slow_start_exponent()) settings.slow_start_exponent = defaults.slow_start_exponent();
  if (defaults.has_backup_below_percent()) settings.backup_below_percent = defaults.backup_below_percent();
  if (defaults.has_ring_changes_per_second()) settings.ring_changes_per_second = defaults.ring_changes_per_second();
  if (defaults.has_announce()) FromProto(defaults.announce(), "defaults.announce", settings.announce, problems);
  return settings;
}

std::optional<Prefix> PrefixFrom(const std::string& text, const std::string& path, Problems& problems) {
  const auto prefix = Prefix::Parse(text);
  if (prefix) return *prefix;
  problems.push_back({path, prefix.error().message});
  return std::nullopt;
}

// 0 is none. Tenths of a per cent are whole numbers; their range is Validate()'s.
std::optional<uint32_t> CanaryTenthsFrom(double percent, const std::string& path, Problems& problems) {
  constexpr double kLargest = 100, kNoise = 1e-6;
  const double tenths = percent * 10;
  if (percent >= 0 && percent <= kLargest && std::abs(tenths - std::round(tenths)) < kNoise) {
    const auto whole = static_cast<uint32_t>(std::lround(tenths));
    return whole == 0 ? std::nullopt : std::optional(whole);
  }
  problems.push_back({path, fmt::format("{} is no share; expected 0.1 to 50, in steps of 0.1", percent)});
  return std::nullopt;
}

Real RealFrom(const v1::Real& message, const std::string& path, Problems& problems) {
  Real real;
  if (message.has_weight()) real.weight = message.weight();
  if (message.has_state()) {
    real.state = ValueOf(kRealStates, message.state(), path + ".state", problems).value_or(RealState::kActive);
  }
  if (message.has_drain_seconds()) real.drain_seconds = message.drain_seconds();
  real.backup = message.backup();
  if (message.has_canary_percent()) {
    real.canary_tenths = CanaryTenthsFrom(message.canary_percent(), path + ".canary_percent", problems);
  }
  real.group = message.group();
  return real;
}

void AddReal(const v1::Real& message, const std::string& path, Vip& vip, Problems& problems) {
  const Real real = RealFrom(message, path, problems);
  const std::string address_path = path + ".address";
  if (message.address().empty()) {
    problems.push_back({address_path, "missing; every real has an address"});
    return;
  }
  const auto address = IpAddress::Parse(message.address());
  if (!address) {
    problems.push_back({address_path, address.error().message});
  } else if (!vip.reals.emplace(*address, real).second) {
    problems.push_back({address_path, fmt::format("real {} stands in this VIP a second time", address->ToString())});
  }
}

Vip VipFrom(const v1::Vip& message, const std::string& path, Problems& problems) {
  Vip vip;
  if (message.has_encap() && message.encap() != v1::ENCAP_UNSPECIFIED && message.encap() != v1::ENCAP_IPIP) {
    AddUnknownValue(message.encap(), path + ".encap", problems);
  }
  if (message.has_tracking()) vip.tracking = ValueOf(kTrackings, message.tracking(), path + ".tracking", problems);
  if (message.has_ring_size()) vip.ring_size = message.ring_size();
  if (message.has_outer_ttl()) vip.outer_ttl = OuterTtlFrom(message.outer_ttl(), path + ".outer_ttl", problems);
  if (message.has_udp_idle_seconds()) vip.udp_idle_seconds = message.udp_idle_seconds();
  if (message.has_tcp_settle_seconds()) vip.tcp_settle_seconds = message.tcp_settle_seconds();
  vip.quic = message.quic();
  if (message.has_health() && !IsDefaultAgain(message.health())) {
    FromProto(message.health(), path + ".health", vip.health.emplace(), problems);
  }
  if (message.has_panic_percent()) vip.panic_percent = message.panic_percent();
  if (message.has_panic_action()) {
    vip.panic_action = PanicActionFrom(message.panic_action(), path + ".panic_action", problems);
  }
  if (message.has_slow_start_seconds()) vip.slow_start_seconds = message.slow_start_seconds();
  if (message.has_slow_start_exponent()) vip.slow_start_exponent = message.slow_start_exponent();
  if (message.has_backup_below_percent()) vip.backup_below_percent = message.backup_below_percent();
  if (message.has_ring_changes_per_second()) vip.ring_changes_per_second = message.ring_changes_per_second();
  if (message.has_announce()) FromProto(message.announce(), path + ".announce", vip.announce, problems);
  vip.active_group = message.active_group();
  for (int i = 0; i < message.reals_size(); ++i) {
    AddReal(message.reals(i), fmt::format("{}.reals[{}]", path, i), vip, problems);
  }
  return vip;
}

void AddVip(const v1::Vip& message, const std::string& path, DesiredState& state, Problems& problems) {
  Vip vip = VipFrom(message, path, problems);
  const std::string key_path = path + ".vip";
  if (message.vip().empty()) {
    problems.push_back({key_path, "missing; expected a VIP such as 203.0.113.10:443/tcp"});
    return;
  }
  const auto key = VipKey::Parse(message.vip());
  if (!key) {
    problems.push_back({key_path, key.error().message});
  } else if (!state.vips.emplace(*key, std::move(vip)).second) {
    problems.push_back({key_path, fmt::format("VIP {} stands here a second time", key->ToString())});
  }
}

v1::Real ToProto(const IpAddress& address, const Real& real) {
  v1::Real message;
  message.set_address(address.ToString());
  message.set_weight(real.weight);
  if (real.state == RealState::kDrain) message.set_state(v1::REAL_STATE_DRAIN);
  if (real.drain_seconds) message.set_drain_seconds(*real.drain_seconds);
  if (real.backup) message.set_backup(true);
  if (real.canary_tenths) message.set_canary_percent(*real.canary_tenths / 10.0);
  if (!real.group.empty()) message.set_group(real.group);
  return message;
}

v1::Vip ToProto(const VipKey& key, const Vip& vip) {
  v1::Vip message;
  message.set_vip(key.ToString());
  if (vip.tracking) message.set_tracking(TrackingToProto(*vip.tracking));
  if (vip.ring_size) message.set_ring_size(*vip.ring_size);
  if (vip.outer_ttl) message.set_outer_ttl(*vip.outer_ttl);
  if (vip.udp_idle_seconds) message.set_udp_idle_seconds(*vip.udp_idle_seconds);
  if (vip.tcp_settle_seconds) message.set_tcp_settle_seconds(*vip.tcp_settle_seconds);
  if (vip.quic) message.set_quic(true);
  if (vip.health) *message.mutable_health() = ToProto(*vip.health);
  if (vip.panic_percent) message.set_panic_percent(*vip.panic_percent);
  if (vip.panic_action) message.set_panic_action(PanicActionToProto(*vip.panic_action));
  if (vip.slow_start_seconds) message.set_slow_start_seconds(*vip.slow_start_seconds);
  if (vip.slow_start_exponent) message.set_slow_start_exponent(*vip.slow_start_exponent);
  if (vip.backup_below_percent) message.set_backup_below_percent(*vip.backup_below_percent);
  if (vip.ring_changes_per_second) message.set_ring_changes_per_second(*vip.ring_changes_per_second);
  if (vip.announce != AnnounceSettings{}) *message.mutable_announce() = ToProto(vip.announce);
  if (!vip.active_group.empty()) message.set_active_group(vip.active_group);
  for (const auto& [address, real] : vip.reals) *message.add_reals() = ToProto(address, real);
  return message;
}

// Always all of them, but for a check that is none, and what is not said of announcing.
v1::VipSettings ToProto(const VipSettings& settings) {
  v1::VipSettings message;
  message.set_tracking(TrackingToProto(settings.tracking));
  message.set_ring_size(settings.ring_size);
  message.set_outer_ttl(settings.outer_ttl);
  message.set_udp_idle_seconds(settings.udp_idle_seconds);
  message.set_tcp_settle_seconds(settings.tcp_settle_seconds);
  if (settings.health != HealthCheck{}) *message.mutable_health() = ToProto(settings.health);
  message.set_panic_percent(settings.panic_percent);
  message.set_panic_action(PanicActionToProto(settings.panic_action));
  message.set_slow_start_seconds(settings.slow_start_seconds);
  message.set_slow_start_exponent(settings.slow_start_exponent);
  message.set_backup_below_percent(settings.backup_below_percent);
  message.set_ring_changes_per_second(settings.ring_changes_per_second);
  if (settings.announce != AnnounceSettings{}) *message.mutable_announce() = ToProto(settings.announce);
  return message;
}

}  // namespace

v1::Tracking TrackingToProto(Tracking tracking) { return MessageOf(kTrackings, tracking); }

std::vector<Problem> FromProto(const v1::Config& config, DesiredState& state) {
  Problems problems;
  state = {};
  if (!config.hash_key().empty()) state.hash_key = HashKeyFrom(config.hash_key(), problems).value_or(HashKey{});
  state.defaults = DefaultsFrom(config.defaults(), problems);
  const v1::OuterSource& source = config.outer_source();
  if (source.has_ipv4()) state.outer_source.ipv4 = PrefixFrom(source.ipv4(), "outer_source.ipv4", problems);
  if (source.has_ipv6()) state.outer_source.ipv6 = PrefixFrom(source.ipv6(), "outer_source.ipv6", problems);
  if (config.host().has_state()) state.host = ValueOf(kHostStates, config.host().state(), "host.state", problems);
  for (int i = 0; i < config.vips_size(); ++i) AddVip(config.vips(i), fmt::format("vips[{}]", i), state, problems);
  return problems;
}

v1::Config ToProto(const DesiredState& state) {
  v1::Config config;
  if (state.hash_key != HashKey{}) config.set_hash_key(fmt::format("0x{:02x}", fmt::join(state.hash_key, "")));
  *config.mutable_defaults() = ToProto(state.defaults);
  if (state.outer_source.ipv4) config.mutable_outer_source()->set_ipv4(state.outer_source.ipv4->ToString());
  if (state.outer_source.ipv6) config.mutable_outer_source()->set_ipv6(state.outer_source.ipv6->ToString());
  if (state.host) {
    config.mutable_host()->set_state(MessageOf(kHostStates, *state.host));
  }
  for (const auto& [key, vip] : state.vips) *config.add_vips() = ToProto(key, vip);
  return config;
}

}  // namespace shunt

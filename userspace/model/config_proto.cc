// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/config_proto.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>
#include <string>

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

void UnknownValue(int value, const std::string& path, Problems& problems) {
  problems.push_back({path, fmt::format("value {} is unknown to this version", value)});
}

std::optional<Tracking> TrackingFrom(v1::Tracking value, const std::string& path, Problems& problems) {
  switch (value) {
    case v1::TRACKING_UNSPECIFIED:
      return std::nullopt;
    case v1::TRACKING_NONE:
      return Tracking::kNone;
    case v1::TRACKING_ALL:
      return Tracking::kAll;
    case v1::TRACKING_MOVING:
      return Tracking::kMoving;
    default:
      UnknownValue(value, path, problems);
      return std::nullopt;
  }
}

// Only what does not fit a byte is refused here; 0 is Validate()'s.
std::optional<uint8_t> OuterTtlFrom(uint32_t value, const std::string& path, Problems& problems) {
  if (value <= std::numeric_limits<uint8_t>::max()) return static_cast<uint8_t>(value);
  problems.push_back({path, fmt::format("{} is out of range; expected 1 to 255", value)});
  return std::nullopt;
}

VipSettings DefaultsFrom(const v1::VipSettings& defaults, Problems& problems) {
  VipSettings settings;
  if (defaults.has_tracking()) {
    settings.tracking = TrackingFrom(defaults.tracking(), "defaults.tracking", problems).value_or(settings.tracking);
  }
  if (defaults.has_ring_size()) settings.ring_size = defaults.ring_size();
  if (defaults.has_outer_ttl()) {
    settings.outer_ttl =
        OuterTtlFrom(defaults.outer_ttl(), "defaults.outer_ttl", problems).value_or(settings.outer_ttl);
  }
  if (defaults.has_udp_idle_seconds()) settings.udp_idle_seconds = defaults.udp_idle_seconds();
  if (defaults.has_tcp_settle_seconds()) settings.tcp_settle_seconds = defaults.tcp_settle_seconds();
  return settings;
}

std::optional<Prefix> PrefixFrom(const std::string& text, const std::string& path, Problems& problems) {
  const auto prefix = Prefix::Parse(text);
  if (prefix) return *prefix;
  problems.push_back({path, prefix.error().message});
  return std::nullopt;
}

RealState RealStateFrom(v1::RealState value, const std::string& path, Problems& problems) {
  switch (value) {
    case v1::REAL_STATE_UNSPECIFIED:
    case v1::REAL_STATE_ACTIVE:
      return RealState::kActive;
    case v1::REAL_STATE_DRAIN:
      return RealState::kDrain;
    default:
      UnknownValue(value, path, problems);
      return RealState::kActive;
  }
}

void AddReal(const v1::Real& message, const std::string& path, Vip& vip, Problems& problems) {
  Real real;
  if (message.has_weight()) real.weight = message.weight();
  if (message.has_state()) real.state = RealStateFrom(message.state(), path + ".state", problems);
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
    UnknownValue(message.encap(), path + ".encap", problems);
  }
  if (message.has_tracking()) vip.tracking = TrackingFrom(message.tracking(), path + ".tracking", problems);
  if (message.has_ring_size()) vip.ring_size = message.ring_size();
  if (message.has_outer_ttl()) vip.outer_ttl = OuterTtlFrom(message.outer_ttl(), path + ".outer_ttl", problems);
  if (message.has_udp_idle_seconds()) vip.udp_idle_seconds = message.udp_idle_seconds();
  if (message.has_tcp_settle_seconds()) vip.tcp_settle_seconds = message.tcp_settle_seconds();
  vip.quic = message.quic();
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

void ToProto(const VipKey& key, const Vip& vip, v1::Vip& message) {
  message.set_vip(key.ToString());
  if (vip.tracking) message.set_tracking(TrackingToProto(*vip.tracking));
  if (vip.ring_size) message.set_ring_size(*vip.ring_size);
  if (vip.outer_ttl) message.set_outer_ttl(*vip.outer_ttl);
  if (vip.udp_idle_seconds) message.set_udp_idle_seconds(*vip.udp_idle_seconds);
  if (vip.tcp_settle_seconds) message.set_tcp_settle_seconds(*vip.tcp_settle_seconds);
  if (vip.quic) message.set_quic(true);
  for (const auto& [address, real] : vip.reals) {
    v1::Real& item = *message.add_reals();
    item.set_address(address.ToString());
    item.set_weight(real.weight);
    if (real.state == RealState::kDrain) item.set_state(v1::REAL_STATE_DRAIN);
  }
}

}  // namespace

v1::Tracking TrackingToProto(Tracking tracking) {
  switch (tracking) {
    case Tracking::kNone:
      return v1::TRACKING_NONE;
    case Tracking::kAll:
      return v1::TRACKING_ALL;
    case Tracking::kMoving:
      return v1::TRACKING_MOVING;
  }
  return v1::TRACKING_UNSPECIFIED;
}

std::vector<Problem> FromProto(const v1::Config& config, DesiredState& state) {
  Problems problems;
  state = {};
  if (!config.hash_key().empty()) state.hash_key = HashKeyFrom(config.hash_key(), problems).value_or(HashKey{});
  state.defaults = DefaultsFrom(config.defaults(), problems);
  const v1::OuterSource& source = config.outer_source();
  if (source.has_ipv4()) state.outer_source.ipv4 = PrefixFrom(source.ipv4(), "outer_source.ipv4", problems);
  if (source.has_ipv6()) state.outer_source.ipv6 = PrefixFrom(source.ipv6(), "outer_source.ipv6", problems);
  for (int i = 0; i < config.vips_size(); ++i) AddVip(config.vips(i), fmt::format("vips[{}]", i), state, problems);
  return problems;
}

v1::Config ToProto(const DesiredState& state) {
  v1::Config config;
  if (state.hash_key != HashKey{}) config.set_hash_key(fmt::format("0x{:02x}", fmt::join(state.hash_key, "")));
  v1::VipSettings& defaults = *config.mutable_defaults();
  defaults.set_tracking(TrackingToProto(state.defaults.tracking));
  defaults.set_ring_size(state.defaults.ring_size);
  defaults.set_outer_ttl(state.defaults.outer_ttl);
  defaults.set_udp_idle_seconds(state.defaults.udp_idle_seconds);
  defaults.set_tcp_settle_seconds(state.defaults.tcp_settle_seconds);
  if (state.outer_source.ipv4) config.mutable_outer_source()->set_ipv4(state.outer_source.ipv4->ToString());
  if (state.outer_source.ipv6) config.mutable_outer_source()->set_ipv6(state.outer_source.ipv6->ToString());
  for (const auto& [key, vip] : state.vips) ToProto(key, vip, *config.add_vips());
  return config;
}

}  // namespace shunt

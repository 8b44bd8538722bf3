// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "maglev/ring.h"
#include "userspace/base/text.h"
#include "userspace/model/health_fields.h"
#include "userspace/model/validate_announce.h"
#include "userspace/model/validate_health.h"

namespace shunt {
namespace {

using Problems = std::vector<Problem>;

// Why no packet can be sent to this address, or from it; empty = it is an ordinary address.
std::string_view NotUnicast(const IpAddress& address) {
  if (address.IsUnspecified()) return "the unspecified address";
  if (address.IsLoopback()) return "a loopback address";
  if (address.IsMulticast()) return "a multicast address";
  if (address.IsBroadcast()) return "the broadcast address";
  if (address.IsLinkLocal()) return "a link-local address";
  return "";
}

void CheckRingSize(uint32_t ring_size, const std::string& path, Problems& problems) {
  if (ring_size > maglev::kMaxRingSize) {
    problems.push_back(
        {path, fmt::format("{} is out of range; expected a prime up to {}", ring_size, maglev::kMaxRingSize)});
  } else if (!maglev::IsPrime(ring_size)) {
    uint32_t prime = ring_size;
    while (!maglev::IsPrime(prime)) ++prime;
    problems.push_back({path, fmt::format("{} is not a prime; the next one is {}", ring_size, prime)});
  }
}

// The settings that a VIP has or takes from the defaults, but for those of its ring.
template <class Settings>
void CheckSettings(const Settings& settings, const std::string& path, Problems& problems) {
  CheckRange(settings.outer_ttl, 1, 255, path + ".outer_ttl", problems);
  CheckRange(settings.udp_idle_seconds, 1, kMaxIdleSeconds, path + ".udp_idle_seconds", problems);
  CheckRange(settings.tcp_settle_seconds, 1, kMaxIdleSeconds, path + ".tcp_settle_seconds", problems);
  CheckRange(settings.panic_percent, 0, 100, path + ".panic_percent", problems);
  CheckRange(settings.slow_start_seconds, 0, kMaxSlowStartSeconds, path + ".slow_start_seconds", problems);
  const std::optional<double> exponent = settings.slow_start_exponent;
  if (exponent && !(*exponent >= kMinSlowStartExponent && *exponent <= kMaxSlowStartExponent)) {
    problems.push_back({path + ".slow_start_exponent", fmt::format("{} is out of range; expected {} to {}", *exponent,
                                                                   kMinSlowStartExponent, kMaxSlowStartExponent)});
  }
  CheckRange(settings.backup_below_percent, 1, 100, path + ".backup_below_percent", problems);
  CheckRange(settings.ring_changes_per_second, 1, 100, path + ".ring_changes_per_second", problems);
  ValidateAnnounce(settings.announce, path + ".announce", problems);
}

void CheckGroupName(const std::string& group, const std::string& path, Problems& problems) {
  constexpr size_t kLongest = 32;
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  if (group.size() <= kLongest && group.find_first_not_of(kAllowed) == std::string::npos) return;
  problems.push_back({path, fmt::format("{}: expected 1 to 32 letters, digits, - and _", Quote(group))});
}

void CheckOuterSource(const std::optional<Prefix>& prefix, Family family, Problems& problems) {
  if (!prefix) return;
  const bool ipv4 = family == Family::kIpv4;
  const std::string path = ipv4 ? "outer_source.ipv4" : "outer_source.ipv6";
  const int shortest = ipv4 ? 8 : 1;
  if (prefix->address.family() != family) {
    problems.push_back({path, fmt::format("{} is an {} prefix; expected {}", prefix->ToString(), ipv4 ? "IPv6" : "IPv4",
                                          ipv4 ? "10.9.0.0/16 or the like" : "2001:db8:9::/64 or the like")});
  } else if (prefix->length < shortest) {
    problems.push_back({path, fmt::format("{} is too short a prefix; expected /{} to /{}", prefix->ToString(), shortest,
                                          ipv4 ? 32 : 128)});
  } else if (const auto why = NotUnicast(prefix->address); !why.empty()) {
    problems.push_back({path, fmt::format("{} is {}, which is no source", prefix->address.ToString(), why)});
  }
}

void CheckReal(const VipKey& key, const IpAddress& address, const Real& real, const std::string& path,
               Problems& problems) {
  if (const auto why = NotUnicast(address); !why.empty()) {
    problems.push_back({path, fmt::format("{} is {}; a real needs an address of its own", address.ToString(), why)});
  }
  if (address == key.address) {
    problems.push_back({path, "the VIP's own address; a real is reached by another address of its host"});
  }
  CheckRange(real.weight, 0, kMaxWeight, path + ".weight", problems);
  CheckRange(real.drain_seconds, 1, kMaxDrainSeconds, path + ".drain_seconds", problems);
  if (real.drain_seconds && real.state != RealState::kDrain) {
    problems.push_back({path + ".drain_seconds", "the real is active; give it the state drain, or leave this out"});
  }
  CheckGroupName(real.group, path + ".group", problems);
  if (!real.canary_tenths) return;
  const std::string canary = path + ".canary_percent";
  if (*real.canary_tenths < kMinCanaryTenths || *real.canary_tenths > kMaxCanaryTenths) {
    problems.push_back({canary, fmt::format("{} is out of range; expected {} to {}", *real.canary_tenths / 10.0,
                                            kMinCanaryTenths / 10.0, kMaxCanaryTenths / 10.0)});
  }
  if (real.backup) {
    problems.push_back({canary, "the real is a backup, which has no share of its own; leave one of the two out"});
  }
}

// What the reals of a VIP may not be together.
void CheckRoles(const Vip& vip, const std::string& path, Problems& problems) {
  uint64_t canary_tenths = 0;
  size_t backups = 0;
  bool group_found = vip.active_group.empty();
  for (const auto& [address, real] : vip.reals) {
    canary_tenths += real.canary_tenths.value_or(0);
    backups += real.backup ? 1 : 0;
    group_found = group_found || real.group == vip.active_group;
  }
  if (canary_tenths > kMaxCanaryTenthsOfVip) {
    problems.push_back(
        {path + ".reals", fmt::format("the canaries take {} % together; expected at most {} %",
                                      static_cast<double>(canary_tenths) / 10.0, kMaxCanaryTenthsOfVip / 10.0)});
  }
  if (backups > 0 && backups == vip.reals.size()) {
    problems.push_back({path + ".reals", "every real is a backup; at least one must be none"});
  }
  CheckGroupName(vip.active_group, path + ".active_group", problems);
  if (!group_found) {
    problems.push_back({path + ".active_group", fmt::format("no real has the group {}; give it to some real first, or "
                                                            "leave active_group out",
                                                            Quote(vip.active_group))});
  }
}

// What the VIP's own check may not be, by itself and for this VIP.
void CheckHealth(const VipKey& key, const Vip& vip, const std::string& path, Problems& problems) {
  if (!vip.health) return;
  ValidateCheck(*vip.health, path, problems);
  if (LacksPort(*vip.health, key)) {
    problems.push_back({path + ".port", fmt::format("missing; the VIP has port *, and a check of kind {} asks one port",
                                                    ToString(vip.health->kind))});
  }
}

// The check of the defaults by itself; and for the VIPs that take it, which all have the same remedy.
void CheckDefaultHealth(const DesiredState& state, Problems& problems) {
  const HealthCheck& check = state.defaults.health;
  ValidateCheck(check, "defaults.health", problems);
  size_t lacking = 0;
  std::string first;
  for (const auto& [key, vip] : state.vips) {
    if (vip.health || !LacksPort(check, key)) continue;
    if (lacking++ == 0) first = key.ToString();
  }
  if (lacking == 0) return;
  const std::string more = lacking == 1 ? "" : fmt::format(" and {} more VIPs", lacking - 1);
  problems.push_back({"defaults.health.port", fmt::format("missing; {}{} with port * would take this check of kind {}, "
                                                          "which asks one port; give it here, or them a check of "
                                                          "their own",
                                                          first, more, ToString(check.kind))});
}

void CheckVip(const DesiredState& state, const VipKey& key, const Vip& vip, Problems& problems) {
  const std::string path = fmt::format("vips[\"{}\"]", key.ToString());
  if (const auto why = NotUnicast(key.address); !why.empty()) {
    problems.push_back({path, fmt::format("{} is {}; a VIP is an address that clients reach by routing",
                                          key.address.ToString(), why)});
  }
  if (vip.ring_size) CheckRingSize(*vip.ring_size, path + ".ring_size", problems);
  CheckSettings(vip, path, problems);
  CheckHealth(key, vip, path + ".health", problems);
  if (auto problem = PrefixProblem(vip.announce, key.address); !problem.empty()) {
    problems.push_back({path + ".announce.prefix", std::move(problem)});
  }
  if (vip.quic && key.protocol != Protocol::kUdp) {
    problems.push_back({path + ".quic", "QUIC runs over UDP, and this is a TCP VIP; leave quic out"});
  }
  if (vip.reals.size() > kMaxRealsPerVip) {
    problems.push_back(
        {path + ".reals", fmt::format("{} reals; a VIP has at most {}", vip.reals.size(), kMaxRealsPerVip)});
  }
  const auto weighted = std::ranges::count_if(vip.reals, [](const auto& entry) { return entry.second.weight > 0; });
  const uint32_t ring_size = EffectiveSettings(state, vip).ring_size;
  if (std::cmp_less(ring_size, weighted)) {
    problems.push_back({path + ".ring_size", fmt::format("{} slots are too few for {} reals with a weight; every one "
                                                         "needs a slot, and about 100 for even shares",
                                                         ring_size, weighted)});
  }
  CheckRoles(vip, path, problems);
  for (const auto& [address, real] : vip.reals) {
    CheckReal(key, address, real, fmt::format("{}.reals[\"{}\"]", path, address.ToString()), problems);
  }
}

void CheckCapacities(const DesiredState& state, const Capacities& capacities, Problems& problems) {
  if (state.vips.size() > capacities.max_vips) {
    problems.push_back(
        {"vips", fmt::format("{} VIPs, but the data plane holds {}; start shuntd with a larger --max_vips",
                             state.vips.size(), capacities.max_vips)});
  }
  uint64_t entries = 0;
  for (const auto& [key, vip] : state.vips) entries += RealCapacity(vip.reals.size());
  if (entries > capacities.max_reals) {
    problems.push_back(
        {"vips", fmt::format("the reals take {} entries (each VIP the next power of two above its reals, "
                             "at least 4), but the data plane holds {}; start shuntd with a larger "
                             "--max_reals",
                             entries, capacities.max_reals)});
  }
}

}  // namespace

uint32_t RealCapacity(size_t reals) {
  constexpr size_t kSmallest = 4;
  return static_cast<uint32_t>(std::max(kSmallest, std::bit_ceil(reals + 1)));
}

void CheckRange(std::optional<uint32_t> value, uint32_t min, uint32_t max, const std::string& path,
                Problems& problems) {
  if (!value || (*value >= min && *value <= max)) return;
  problems.push_back({path, fmt::format("{} is out of range; expected {} to {}", *value, min, max)});
}

std::string Problem::ToString() const { return path + ": " + message; }

std::vector<Problem> Validate(const DesiredState& state, const Capacities& capacities) {
  Problems problems;
  CheckRingSize(state.defaults.ring_size, "defaults.ring_size", problems);
  CheckSettings(state.defaults, "defaults", problems);
  CheckDefaultHealth(state, problems);
  if (state.defaults.announce.prefix) {
    problems.push_back({"defaults.announce.prefix", "a prefix is a VIP's own; give it to the VIPs that it holds"});
  }
  CheckOuterSource(state.outer_source.ipv4, Family::kIpv4, problems);
  CheckOuterSource(state.outer_source.ipv6, Family::kIpv6, problems);
  for (const auto& [key, vip] : state.vips) CheckVip(state, key, vip, problems);
  CheckCapacities(state, capacities, problems);
  return problems;
}

}  // namespace shunt

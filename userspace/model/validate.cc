// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "maglev/ring.h"

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

void CheckOuterTtl(uint8_t outer_ttl, const std::string& path, Problems& problems) {
  if (outer_ttl == 0) problems.push_back({path, "0 is out of range; expected 1 to 255"});
}

void CheckSeconds(uint32_t seconds, const std::string& path, Problems& problems) {
  if (seconds == 0 || seconds > kMaxIdleSeconds) {
    problems.push_back({path, fmt::format("{} is out of range; expected 1 to {}", seconds, kMaxIdleSeconds)});
  }
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
  if (real.weight > kMaxWeight) {
    problems.push_back(
        {path + ".weight", fmt::format("{} is out of range; expected 0 to {}", real.weight, kMaxWeight)});
  }
}

void CheckVip(const DesiredState& state, const VipKey& key, const Vip& vip, Problems& problems) {
  const std::string path = fmt::format("vips[\"{}\"]", key.ToString());
  if (const auto why = NotUnicast(key.address); !why.empty()) {
    problems.push_back({path, fmt::format("{} is {}; a VIP is an address that clients reach by routing",
                                          key.address.ToString(), why)});
  }
  if (vip.ring_size) CheckRingSize(*vip.ring_size, path + ".ring_size", problems);
  if (vip.outer_ttl) CheckOuterTtl(*vip.outer_ttl, path + ".outer_ttl", problems);
  if (vip.udp_idle_seconds) CheckSeconds(*vip.udp_idle_seconds, path + ".udp_idle_seconds", problems);
  if (vip.tcp_settle_seconds) CheckSeconds(*vip.tcp_settle_seconds, path + ".tcp_settle_seconds", problems);
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

std::string Problem::ToString() const { return path + ": " + message; }

std::vector<Problem> Validate(const DesiredState& state, const Capacities& capacities) {
  Problems problems;
  CheckRingSize(state.defaults.ring_size, "defaults.ring_size", problems);
  CheckOuterTtl(state.defaults.outer_ttl, "defaults.outer_ttl", problems);
  CheckSeconds(state.defaults.udp_idle_seconds, "defaults.udp_idle_seconds", problems);
  CheckSeconds(state.defaults.tcp_settle_seconds, "defaults.tcp_settle_seconds", problems);
  CheckOuterSource(state.outer_source.ipv4, Family::kIpv4, problems);
  CheckOuterSource(state.outer_source.ipv6, Family::kIpv6, problems);
  for (const auto& [key, vip] : state.vips) CheckVip(state, key, vip, problems);
  CheckCapacities(state, capacities, problems);
  return problems;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// When and how a VIP is announced: what an operator may say of it, and what follows when nothing is said. Plain values;
// pure. Not here: what is decided from it (bgp/policy.h), which settings are possible (Validate()).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/net/address.h"

namespace shunt {

inline constexpr uint32_t kMinPreference = 1;  // IPv6 routes of metric 0 do not exist (the kernel makes it 1024)
inline constexpr uint32_t kMaxPreference = 999;
inline constexpr uint32_t kMaxHoldSeconds = 86400;
inline constexpr size_t kMaxCommunities = 16;

enum class AnnounceState : uint8_t {
  kUp,    // announced while all that it needs is there
  kDown,  // an operator said no
};

// What becomes of the announcement of a VIP that has too few healthy reals, or of a host that drains.
enum class StepDown : uint8_t {
  kWithdraw,
  kLower,  // it stays, less preferred than every other
};

// What a VIP, or the defaults, say; unset: what the defaults say, or what AnnouncePolicy has below.
struct AnnounceSettings {
  std::optional<AnnounceState> state{};
  std::optional<uint32_t> min_reals{};
  std::optional<uint32_t> min_percent{};
  std::optional<uint32_t> return_reals{};
  std::optional<uint32_t> return_percent{};
  std::optional<StepDown> on_unhealthy{};
  std::optional<StepDown> on_drain{};
  std::optional<bool> required{};
  std::optional<uint32_t> preference{};
  std::optional<Prefix> prefix{};
  std::optional<uint32_t> hold_seconds{};
  std::optional<uint32_t> max_hold_seconds{};
  std::optional<std::vector<std::string>> communities{};
  bool operator==(const AnnounceSettings&) const = default;
};

// What holds for one VIP.
struct AnnouncePolicy {
  AnnounceState state = AnnounceState::kUp;
  // Enough: at least so many healthy reals that may take new flows, and so much of the weight. 0 reals: also with none.
  uint32_t min_reals = 1;       // 0 to kMaxRealsPerVip
  uint32_t min_percent = 0;     // 0 to 100
  uint32_t return_reals = 1;    // to be announced again; at least min_reals. Default: min_reals
  uint32_t return_percent = 0;  // at least min_percent. Default: 10 more than min_percent, unless that is 0
  StepDown on_unhealthy = StepDown::kWithdraw;  // while it has not enough
  StepDown on_drain = StepDown::kWithdraw;      // while the host drains
  // The prefix of several VIPs is announced as long as one of them has enough; a required one must have.
  bool required = false;
  uint32_t preference = 100;  // kMinPreference to kMaxPreference; the less, the more preferred: the route's metric
  Prefix prefix{};            // holds the VIP's address. Default: that address alone
  // From a withdrawal that health caused to the next announcement; doubled by each that follows soon.
  uint32_t hold_seconds = 5;               // 0 to kMaxHoldSeconds
  uint32_t max_hold_seconds = 300;         // at least hold_seconds
  std::vector<std::string> communities{};  // "64512:100" (RFC 1997) or "64512:1:2" (RFC 8092)
  bool operator==(const AnnouncePolicy&) const = default;
};

AnnouncePolicy PolicyOf(const AnnounceSettings& defaults, const AnnounceSettings& vip, const IpAddress& address);

std::string_view ToString(AnnounceState state);
std::string_view ToString(StepDown step);

// The settings that are set, by name and as text, in the order of the store.
struct AnnounceField {
  std::string_view name;
  std::string (*text)(const AnnounceSettings& settings);  // empty: not set
};
const std::vector<AnnounceField>& AnnounceFields();

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What is announced, and why or why not. Plain values, published by the controller; made by bgp/, read by rpc and
// metrics. Not here: how it is decided (bgp/policy.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/net/address.h"
#include "userspace/net/endpoint.h"

namespace shunt {

// The more traffic it attracts, the greater.
enum class Announcing : uint8_t {
  kWithdrawn,
  kGraceful,  // others are to take over before it goes (RFC 8326)
  kLowered,   // less preferred than every one that is not
  kAnnounced,
};

constexpr std::string_view ToString(Announcing announcing) {
  switch (announcing) {
    case Announcing::kWithdrawn:
      return "withdrawn";
    case Announcing::kGraceful:
      return "graceful";
    case Announcing::kLowered:
      return "lowered";
    case Announcing::kAnnounced:
      return "announced";
  }
  return "";
}

// What is right for one VIP by itself.
struct VipAnnouncing {
  Announcing wanted = Announcing::kWithdrawn;
  bool planned = false;        // an operator's doing
  std::string cause;           // a sentence; of announced ones, too
  uint32_t healthy_reals = 0;  // that may take new flows
  double healthy_percent = 0;  // of the weight
  bool operator==(const VipAnnouncing&) const = default;
};

struct PrefixAnnouncing {
  Announcing announcing = Announcing::kWithdrawn;  // as it is
  uint32_t metric = 0;                             // of its route; 0: there is none
  std::string cause;
  std::chrono::system_clock::time_point since;
  std::optional<std::chrono::seconds> held{};  // so long it is kept from being announced again
  std::vector<std::string> communities;
  std::vector<VipKey> vips;
  bool operator==(const PrefixAnnouncing&) const = default;
};

struct AnnounceReport {
  uint32_t table = 0;  // routing table of the kernel; 0: no routes are kept, all else is decided nevertheless
  uint32_t protocol = 0;
  std::string problem;  // of keeping routes; empty: none
  std::map<Prefix, PrefixAnnouncing> prefixes{};
  std::map<VipKey, VipAnnouncing> vips{};
  bool operator==(const AnnounceReport&) const = default;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// VipKey, what names a VIP, and Endpoint, an address with a port: plain values with their text forms.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "userspace/base/result.h"
#include "userspace/net/address.h"

namespace shunt {

enum class Protocol : uint8_t { kTcp = 6, kUdp = 17 };  // IANA protocol numbers

std::string_view ToString(Protocol protocol);  // "tcp", "udp"

// Text: 203.0.113.10:443/tcp, [2001:db8::1]:443/udp; port * stands for every port and is 0 here.
struct VipKey {
  IpAddress address;
  uint16_t port = 0;
  Protocol protocol = Protocol::kTcp;

  static Result<VipKey> Parse(std::string_view text);
  std::string ToString() const;
  auto operator<=>(const VipKey&) const = default;
};

// Text: 198.51.100.7:40000, [2001:db8::7]:40000.
struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  static Result<Endpoint> Parse(std::string_view text);
  std::string ToString() const;
  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace shunt

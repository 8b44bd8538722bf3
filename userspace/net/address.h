// SPDX-License-Identifier: Apache-2.0
// IpAddress and Prefix: plain values. IPv4 is kept IPv4-mapped (RFC 4291, 2.5.5.2), so both families are one type.
// Parsing refuses what is ambiguous (leading zeros, scopes, an IPv6 text of a mapped address).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "userspace/base/result.h"

namespace shunt {

enum class Family : uint8_t { kIpv4 = 4, kIpv6 = 6 };
constexpr uint8_t AddressBits(Family family) { return family == Family::kIpv4 ? 32 : 128; }

class IpAddress {
 public:
  using Bytes = std::array<uint8_t, 16>;  // network byte order

  IpAddress() = default;  // "::"
  explicit IpAddress(const Bytes& bytes) : bytes_(bytes) {}

  static Result<IpAddress> Parse(std::string_view text);  // "10.0.0.1" or "2001:db8::1", no brackets
  static IpAddress FromIpv4(const std::array<uint8_t, 4>& bytes);

  Family family() const;
  const Bytes& bytes() const { return bytes_; }
  std::array<uint8_t, 4> ipv4() const;  // the last four bytes
  bool IsUnspecified() const;           // 0.0.0.0 or ::
  bool IsLoopback() const;              // 127.0.0.0/8 or ::1
  bool IsMulticast() const;             // 224.0.0.0/4 or ff00::/8
  bool IsLinkLocal() const;             // 169.254.0.0/16 or fe80::/10
  bool IsBroadcast() const;             // 255.255.255.255
  std::string ToString() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  Bytes bytes_{};
};

// `length` counts bits within the address's own family (0 to 32 or 0 to 128). Bits behind it are zero.
struct Prefix {
  IpAddress address;
  uint8_t length = 0;

  static Result<Prefix> Parse(std::string_view text);  // "10.9.0.0/16"; host bits set is an error
  std::string ToString() const;
  bool Contains(const IpAddress& other) const;
  auto operator<=>(const Prefix&) const = default;
};

}  // namespace shunt

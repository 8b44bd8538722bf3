// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "userspace/base/text.h"

namespace shunt {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kGroups = 8;

std::unexpected<Error> BadAddress(std::string_view text, std::string_view why) {
  return Fail(ErrorKind::kInvalid, fmt::format("address {}: {}", Quote(text), why));
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

Result<IpAddress> ParseIpv4(std::string_view text) {
  const auto parts = Split(text, '.');
  if (parts.size() != 4) return BadAddress(text, "expected an address such as 10.0.0.11 or 2001:db8::11");
  std::array<uint8_t, 4> bytes{};
  for (size_t i = 0; i < 4; ++i) {
    const auto value = ParseDecimal(parts[i], 255);
    if (!value && parts[i].size() > 1 && parts[i].front() == '0') {
      return BadAddress(text, fmt::format("{} has a leading zero, which some programs read as octal; write it without",
                                          Quote(parts[i])));
    }
    if (!value) return BadAddress(text, fmt::format("{} is not a number from 0 to 255", Quote(parts[i])));
    bytes[i] = static_cast<uint8_t>(*value);
  }
  return IpAddress::FromIpv4(bytes);
}

Result<IpAddress> ParseIpv6(std::string_view text) {
  if (text.contains('%')) return BadAddress(text, "a zone (after %) has no meaning here; write the address without it");
  IpAddress::Bytes bytes{};
  // inet_pton reads up to the first NUL, so a NUL within the text must not reach it.
  if (text.contains('\0') || inet_pton(AF_INET6, std::string(text).c_str(), bytes.data()) != 1) {
    return BadAddress(text, "not an IPv6 address; expected a form such as 2001:db8::11");
  }
  const IpAddress address(bytes);
  if (address.family() == Family::kIpv4) {
    return BadAddress(text, fmt::format("an IPv4 address in IPv6 form; write {}", address.ToString()));
  }
  return address;
}

// The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2); length 0 = none.
struct Run {
  size_t begin = 0;
  size_t length = 0;
};

Run LongestZeroRun(const std::array<uint16_t, kGroups>& groups) {
  Run longest;
  for (size_t i = 0; i < kGroups;) {
    size_t end = i;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - i >= 2 && end - i > longest.length) longest = {i, end - i};
    i = end + 1;
  }
  return longest;
}

std::string Ipv6ToString(const IpAddress::Bytes& bytes) {
  std::array<uint16_t, kGroups> groups{};
  for (size_t i = 0; i < kGroups; ++i) groups[i] = static_cast<uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  const Run zeros = LongestZeroRun(groups);
  std::string text;
  for (size_t i = 0; i < kGroups; ++i) {
    if (zeros.length > 0 && i == zeros.begin) {
      text += "::";
      i += zeros.length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    text += fmt::format("{:x}", groups[i]);
  }
  return text;
}

// The same address with every bit behind the first `bits` of 128 cleared.
IpAddress Masked(const IpAddress& address, unsigned bits) {
  IpAddress::Bytes bytes = address.bytes();
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = std::clamp(static_cast<int>(bits) - static_cast<int>(8 * i), 0, 8);
    bytes[i] = static_cast<uint8_t>(bytes[i] & (0xff00u >> kept));
  }
  return IpAddress(bytes);
}

// A prefix's length counted in the 128 bits that both families are kept in.
unsigned MappedLength(const Prefix& prefix) {
  return prefix.address.family() == Family::kIpv4 ? 96u + prefix.length : prefix.length;
}

}  // namespace

Result<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.empty()) return BadAddress(text, "empty; expected an address such as 10.0.0.11 or 2001:db8::11");
  if (text.contains('/')) return BadAddress(text, "a prefix; expected a single address");
  if (text.front() == '[') return BadAddress(text, "expected the address without brackets");
  return text.contains(':') ? ParseIpv6(text) : ParseIpv4(text);
}

IpAddress IpAddress::FromIpv4(const std::array<uint8_t, 4>& bytes) {
  Bytes mapped{};
  std::ranges::copy(kMappedPrefix, mapped.begin());
  std::ranges::copy(bytes, mapped.begin() + kMappedPrefix.size());
  return IpAddress(mapped);
}

Family IpAddress::family() const {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()) ? Family::kIpv4 : Family::kIpv6;
}

std::array<uint8_t, 4> IpAddress::ipv4() const { return {bytes_[12], bytes_[13], bytes_[14], bytes_[15]}; }

bool IpAddress::IsUnspecified() const { return *this == IpAddress() || *this == FromIpv4({0, 0, 0, 0}); }

bool IpAddress::IsLoopback() const {
  if (family() == Family::kIpv4) return bytes_[12] == 127;
  return *this == IpAddress(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

bool IpAddress::IsMulticast() const {
  return family() == Family::kIpv4 ? (bytes_[12] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

bool IpAddress::IsLinkLocal() const {
  if (family() == Family::kIpv4) return bytes_[12] == 169 && bytes_[13] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::IsBroadcast() const { return *this == FromIpv4({255, 255, 255, 255}); }

std::string IpAddress::ToString() const {
  if (family() == Family::kIpv6) return Ipv6ToString(bytes_);
  return fmt::format("{}.{}.{}.{}", bytes_[12], bytes_[13], bytes_[14], bytes_[15]);
}

Result<Prefix> Prefix::Parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Fail(ErrorKind::kInvalid, fmt::format("prefix {}: {}", Quote(text), why));
  };
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return bad("the length is missing; expected a form such as 10.9.0.0/16 or 2001:db8::/64");
  }
  const auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return bad(address.error().message);
  const uint32_t longest = AddressBits(address->family());
  const auto length = ParseDecimal(text.substr(slash + 1), longest);
  if (!length) return bad(fmt::format("the length must be a number from 0 to {}", longest));
  const Prefix prefix{*address, static_cast<uint8_t>(*length)};
  const Prefix cleared{Masked(*address, MappedLength(prefix)), prefix.length};
  if (cleared != prefix) return bad(fmt::format("bits behind the length are set; write {}", cleared.ToString()));
  return prefix;
}

std::string Prefix::ToString() const { return fmt::format("{}/{}", address.ToString(), length); }

bool Prefix::Contains(const IpAddress& other) const {
  return other.family() == address.family() && Masked(other, MappedLength(*this)) == address;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/net/endpoint.h"

#include <fmt/format.h>

#include <optional>

#include "userspace/base/text.h"

namespace shunt {
namespace {

constexpr uint32_t kMaxPort = 65535;

struct AddressAndPort {
  IpAddress address;
  std::string_view port;
};

// Splits ADDRESS:PORT and reads the address; the port is left to the caller. The error says only what is wrong.
std::expected<AddressAndPort, std::string> SplitPort(std::string_view text) {
  const bool brackets = text.starts_with('[');
  std::string_view address = text;
  std::string_view rest;
  if (brackets) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return std::unexpected("the closing bracket is missing");
    address = text.substr(1, close - 1);
    rest = text.substr(close + 1);
  } else if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    address = text.substr(0, colon);
    rest = text.substr(colon);
    if (rest.find(':', 1) != std::string_view::npos) return std::unexpected("an IPv6 address needs brackets");
  }
  const auto parsed = IpAddress::Parse(address);
  if (!parsed) return std::unexpected(parsed.error().message);
  if (brackets && parsed->family() == Family::kIpv4) {
    return std::unexpected("brackets are for IPv6; write an IPv4 address without them");
  }
  if (rest.empty() || rest == ":") return std::unexpected("the port is missing");
  if (rest.front() != ':') return std::unexpected("expected a colon and the port behind the bracket");
  return AddressAndPort{*parsed, rest.substr(1)};
}

// "10.0.0.1:80" or "[2001:db8::1]:80"; port as text, so that a VIP can show its *.
std::string Join(const IpAddress& address, std::string_view port) {
  return address.family() == Family::kIpv6 ? fmt::format("[{}]:{}", address.ToString(), port)
                                           : fmt::format("{}:{}", address.ToString(), port);
}

}  // namespace

std::string_view ToString(Protocol protocol) { return protocol == Protocol::kTcp ? "tcp" : "udp"; }

Result<VipKey> VipKey::Parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("VIP {}: {}; expected ADDRESS:PORT/PROTOCOL, e.g. 203.0.113.10:443/tcp or "
                            "[2001:db8::1]:443/udp, port * for every port",
                            Quote(text), why));
  };
  if (text.empty()) return bad("empty");
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return bad("the protocol is missing");
  const std::string_view protocol = text.substr(slash + 1);
  if (protocol != "tcp" && protocol != "udp") return bad(fmt::format("protocol {} is not tcp or udp", Quote(protocol)));
  const auto split = SplitPort(text.substr(0, slash));
  if (!split) return bad(split.error());
  const auto port = split->port == "*" ? std::optional<uint32_t>(0) : ParseDecimal(split->port, kMaxPort);
  if (!port || (*port == 0 && split->port != "*")) {
    return bad(fmt::format("port {} is not * or a number from 1 to {}", Quote(split->port), kMaxPort));
  }
  return VipKey{split->address, static_cast<uint16_t>(*port), protocol == "tcp" ? Protocol::kTcp : Protocol::kUdp};
}

std::string VipKey::ToString() const {
  const std::string port_text = port == 0 ? "*" : std::to_string(port);
  return fmt::format("{}/{}", Join(address, port_text), shunt::ToString(protocol));
}

Result<Endpoint> Endpoint::Parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("endpoint {}: {}; expected ADDRESS:PORT, e.g. 198.51.100.7:40000 or [2001:db8::7]:40000",
                            Quote(text), why));
  };
  const auto split = SplitPort(text);
  if (!split) return bad(split.error());
  const auto port = ParseDecimal(split->port, kMaxPort);
  if (!port) return bad(fmt::format("port {} is not a number from 0 to {}", Quote(split->port), kMaxPort));
  return Endpoint{split->address, static_cast<uint16_t>(*port)};
}

std::string Endpoint::ToString() const { return Join(address, std::to_string(port)); }

}  // namespace shunt

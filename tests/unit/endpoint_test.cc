// SPDX-License-Identifier: Apache-2.0
// The names of VIPs and endpoints: what is understood, and what the refusals say.
#include "userspace/net/endpoint.h"

#include <catch2/catch.hpp>
#include <string>

namespace shunt {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("a VIP's name is understood and written back in one canonical form") {
  const auto [text, canonical] = GENERATE(table<std::string, std::string>({
      {"203.0.113.10:443/tcp", "203.0.113.10:443/tcp"},
      {"203.0.113.10:65535/udp", "203.0.113.10:65535/udp"},
      {"203.0.113.10:*/tcp", "203.0.113.10:*/tcp"},
      {"[2001:DB8:0::1]:443/udp", "[2001:db8::1]:443/udp"},
      {"[2001:db8::1]:*/udp", "[2001:db8::1]:*/udp"},
  }));
  const auto key = VipKey::Parse(text);
  INFO(text);
  REQUIRE(key);
  CHECK(key->ToString() == canonical);
  CHECK(VipKey::Parse(canonical) == *key);
}

TEST_CASE("the parts of a VIP's name are its address, port and protocol") {
  const VipKey key = *VipKey::Parse("[2001:db8::1]:443/udp");
  CHECK(key.address == *IpAddress::Parse("2001:db8::1"));
  CHECK(key.port == 443);
  CHECK(key.protocol == Protocol::kUdp);
  CHECK(VipKey::Parse("203.0.113.10:*/tcp")->port == 0);
  CHECK(VipKey::Parse("203.0.113.10:1/tcp")->protocol == Protocol::kTcp);
}

TEST_CASE("a malformed VIP is refused with what is wrong, the form and an example") {
  const auto [text, why] = GENERATE(table<std::string, std::string>({
      {"", "empty"},
      {"203.0.113.10", "the protocol is missing"},
      {"203.0.113.10:443", "the protocol is missing"},
      {"203.0.113.10:443/", "protocol \"\" is not tcp or udp"},
      {"203.0.113.10:443/sctp", "protocol \"sctp\" is not tcp or udp"},
      {"203.0.113.10:443/TCP", "protocol \"TCP\" is not tcp or udp"},
      {"203.0.113.10:443/tcp ", "protocol \"tcp \" is not tcp or udp"},
      {"203.0.113.10/tcp", "the port is missing"},
      {"203.0.113.10:/tcp", "the port is missing"},
      {"[2001:db8::1]/tcp", "the port is missing"},
      {"203.0.113.10:0/tcp", "port \"0\" is not * or a number from 1 to 65535"},
      {"203.0.113.10:65536/tcp", "port \"65536\" is not * or a number from 1 to 65535"},
      {"203.0.113.10:0443/tcp", "port \"0443\" is not"},
      {"203.0.113.10:https/tcp", "port \"https\" is not"},
      {"203.0.113.10:-1/tcp", "port \"-1\" is not"},
      {"203.0.113.10:**/tcp", "port \"**\" is not"},
      {"2001:db8::1:443/udp", "an IPv6 address needs brackets"},
      {"[2001:db8::1:443/udp", "the closing bracket is missing"},
      {"[203.0.113.10]:443/tcp", "brackets are for IPv6"},
      {"[2001:db8::1]443/udp", "expected a colon and the port behind the bracket"},
      {"[::ffff:1.2.3.4]:443/tcp", "write 1.2.3.4"},
      {"203.0.113.010:443/tcp", "leading zero"},
      {":443/tcp", "empty"},
      {"[]:443/tcp", "empty"},
      {"*:443/tcp", "expected an address"},
      {"203.0.113.0/24:443/tcp", "a prefix"},
  }));
  const auto key = VipKey::Parse(text);
  INFO(text);
  REQUIRE_FALSE(key);
  CHECK(key.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(key.error().message, Catch::Matchers::StartsWith("VIP \"" + text + "\": ") && Contains(why) &&
                                      Contains("e.g. 203.0.113.10:443/tcp"));
}

TEST_CASE("VIPs that differ in address, port or protocol are different VIPs") {
  const VipKey key = *VipKey::Parse("203.0.113.10:443/tcp");
  CHECK(key == *VipKey::Parse("203.0.113.10:443/tcp"));
  CHECK(key != *VipKey::Parse("203.0.113.11:443/tcp"));
  CHECK(key != *VipKey::Parse("203.0.113.10:*/tcp"));
  CHECK(key != *VipKey::Parse("203.0.113.10:443/udp"));
}

TEST_CASE("an endpoint is an address with a port, with brackets for IPv6") {
  for (const std::string text : {"198.51.100.7:40000", "198.51.100.7:0", "[2001:db8::7]:65535"}) {
    const auto endpoint = Endpoint::Parse(text);
    INFO(text);
    REQUIRE(endpoint);
    CHECK(endpoint->ToString() == text);
  }
  CHECK(Endpoint::Parse("198.51.100.7:40000")->port == 40000);
  for (const auto& [text, why] : {std::pair{"198.51.100.7", "the port is missing"},
                                  {"198.51.100.7:65536", "not a number from 0 to 65535"},
                                  {"198.51.100.7:*", "not a number from 0 to 65535"},
                                  {"198.51.100.7:80/tcp", "not a number from 0 to 65535"},
                                  {"2001:db8::7:80", "needs brackets"},
                                  {"", "empty"}}) {
    const auto endpoint = Endpoint::Parse(text);
    INFO(text);
    REQUIRE_FALSE(endpoint);
    CHECK_THAT(endpoint.error().message, Contains(why) && Contains("e.g. 198.51.100.7:40000"));
  }
}

}  // namespace
}  // namespace shunt

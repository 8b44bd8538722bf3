// SPDX-License-Identifier: Apache-2.0
// Addresses, prefixes and MAC addresses: their text forms, and what is refused.
#include "userspace/net/address.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "userspace/base/text.h"
#include "userspace/net/mac.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;

IpAddress Address(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  REQUIRE(address);
  return *address;
}

template <class T>
std::string ErrorOf(const Result<T>& result) {
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kInvalid);
  return result.error().message;
}

TEST_CASE("an IPv4 address is kept IPv4-mapped and written in dotted form") {
  const IpAddress address = Address("10.0.0.11");
  CHECK(address.bytes() == IpAddress::Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 11});
  CHECK(address.family() == Family::kIpv4);
  CHECK(address.ipv4() == std::array<uint8_t, 4>{10, 0, 0, 11});
  CHECK(address.ToString() == "10.0.0.11");
  CHECK(address == IpAddress::FromIpv4({10, 0, 0, 11}));
  CHECK(Address("255.255.255.255").ToString() == "255.255.255.255");
  CHECK(Address("0.0.0.0").family() == Family::kIpv4);
}

TEST_CASE("an IPv6 address is written in the canonical form of RFC 5952") {
  const auto [text, canonical] = GENERATE(table<std::string, std::string>({
      {"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // one zero group is not shortened
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},   //
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // of equals the first
      {"0:0:0:0:0:0:0:0", "::"},                         //
      {"0:0:0:0:0:0:0:1", "::1"},                        //
      {"fe80:0:0:0:0:0:0:0", "fe80::"},                  //
      {"::1.2.3.4", "::102:304"},                        //
      {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},       //
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},            //
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},            //
      {"1:2:3:4:5:6::", "1:2:3:4:5:6::"},
  }));
  INFO(text);
  CHECK(Address(text).ToString() == canonical);
  CHECK(Address(canonical) == Address(text));
  CHECK(Address(text).family() == Family::kIpv6);
}

TEST_CASE("ambiguous or malformed addresses are refused, and the message says why") {
  const auto [text, why] = GENERATE(table<std::string, std::string>({
      {"", "empty"},
      {"10.0.0.011", "leading zero"},
      {"00.0.0.1", "leading zero"},
      {"10.0.0.256", "\"256\" is not a number from 0 to 255"},
      {"10.0.0.-1", "not a number from 0 to 255"},
      {"10.0.0.+1", "not a number from 0 to 255"},
      {"10.0.0.", "not a number from 0 to 255"},
      {"10.0.0. 1", "not a number from 0 to 255"},
      {"0x0a.0.0.1", "leading zero"},
      {"10.0.0", "expected an address"},
      {"10.0.0.1.2", "expected an address"},
      {"167772161", "expected an address"},
      {"www.example.com", "expected an address"},
      {"10.0.0.0/24", "a prefix"},
      {"[2001:db8::1]", "without brackets"},
      {"fe80::1%eth0", "zone"},
      {"::ffff:1.2.3.4", "write 1.2.3.4"},
      {"::ffff:102:304", "write 1.2.3.4"},
      {"0:0:0:0:0:FFFF:0102:0304", "write 1.2.3.4"},
      {"2001:db8::1::2", "not an IPv6 address"},
      {"2001:db8:1", "not an IPv6 address"},
      {"1:2:3:4:5:6:7:8:9", "not an IPv6 address"},
      {"2001:db8::12345", "not an IPv6 address"},
      {"2001:db8::g", "not an IPv6 address"},
      {"64:ff9b::01.2.3.4", "not an IPv6 address"},
      {" 2001:db8::1", "not an IPv6 address"},
      {std::string("2001:db8::1\0x", 13), "not an IPv6 address"},
  }));
  INFO(text);
  CHECK_THAT(ErrorOf(IpAddress::Parse(text)), Contains("address ") && Contains(why));
}

TEST_CASE("special addresses are told apart at their borders") {
  const auto names = [](std::string_view text) {
    const IpAddress address = Address(text);
    std::string kinds;
    if (address.IsUnspecified()) kinds += 'u';
    if (address.IsLoopback()) kinds += 'l';
    if (address.IsMulticast()) kinds += 'm';
    if (address.IsLinkLocal()) kinds += 'k';
    if (address.IsBroadcast()) kinds += 'b';
    return kinds;
  };
  for (const char* text : {"0.0.0.0", "::"}) CHECK(names(text) == "u");
  for (const char* text : {"127.0.0.0", "127.255.255.255", "::1"}) CHECK(names(text) == "l");
  for (const char* text : {"224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"}) CHECK(names(text) == "m");
  for (const char* text : {"169.254.0.0", "169.254.255.255", "fe80::1", "febf::1"}) CHECK(names(text) == "k");
  CHECK(names("255.255.255.255") == "b");
  for (const char* text :
       {"0.0.0.1", "126.255.255.255", "128.0.0.0", "223.255.255.255", "240.0.0.0", "169.253.0.1", "169.255.0.1",
        "255.255.255.254", "::2", "1::", "feff::1", "fec0::1", "fe7f::1", "::7f00:1", "2001:db8::1"}) {
    INFO(text);
    CHECK(names(text) == "");
  }
}

TEST_CASE("a prefix is parsed and written in either family") {
  const auto ipv4 = Prefix::Parse("10.9.0.0/16");
  REQUIRE(ipv4);
  CHECK(ipv4->address == Address("10.9.0.0"));
  CHECK(ipv4->length == 16);
  CHECK(ipv4->ToString() == "10.9.0.0/16");
  for (const char* text : {"0.0.0.0/0", "10.0.0.1/32", "128.0.0.0/1", "2001:db8::/33", "2001:db8::1/128", "::/0"}) {
    const auto prefix = Prefix::Parse(text);
    INFO(text);
    REQUIRE(prefix);
    CHECK(prefix->ToString() == text);
  }
}

TEST_CASE("a prefix with set host bits, or without a fitting length, is refused") {
  const auto [text, why] = GENERATE(table<std::string, std::string>({
      {"10.9.0.1/16", "write 10.9.0.0/16"},
      {"10.9.0.0/14", "write 10.8.0.0/14"},
      {"2001:db8::1/127", "write 2001:db8::/127"},
      {"1.0.0.0/0", "write 0.0.0.0/0"},
      {"10.9.0.0", "length is missing"},
      {"10.9.0.0/", "from 0 to 32"},
      {"10.9.0.0/33", "from 0 to 32"},
      {"10.9.0.0/016", "from 0 to 32"},
      {"10.9.0.0/255.255.0.0", "from 0 to 32"},
      {"10.9.0.0/16/8", "from 0 to 32"},
      {"2001:db8::/129", "from 0 to 128"},
      {"/8", "empty"},
      {"::ffff:0:0/96", "write 0.0.0.0"},
  }));
  INFO(text);
  CHECK_THAT(ErrorOf(Prefix::Parse(text)), Contains("prefix ") && Contains(why));
}

TEST_CASE("a prefix contains the addresses of its own family within its length") {
  const Prefix ipv4 = *Prefix::Parse("10.8.0.0/14");
  CHECK(ipv4.Contains(Address("10.8.0.0")));
  CHECK(ipv4.Contains(Address("10.11.255.255")));
  CHECK_FALSE(ipv4.Contains(Address("10.12.0.0")));
  CHECK_FALSE(ipv4.Contains(Address("10.7.255.255")));
  CHECK_FALSE(ipv4.Contains(Address("a08::")));
  const Prefix every_ipv6 = *Prefix::Parse("::/0");
  CHECK(every_ipv6.Contains(Address("2001:db8::1")));
  CHECK_FALSE(every_ipv6.Contains(Address("10.0.0.1")));
  const Prefix ipv6 = *Prefix::Parse("2001:db8::/33");
  CHECK(ipv6.Contains(Address("2001:db8:7fff::1")));
  CHECK_FALSE(ipv6.Contains(Address("2001:db8:8000::1")));
}

TEST_CASE("addresses sort IPv4 before global IPv6, each in numeric order") {
  const std::set<IpAddress> sorted = {Address("2001:db8::1"), Address("10.0.0.200"), Address("10.0.0.3")};
  std::string order;
  for (const auto& address : sorted) order += address.ToString() + " ";
  CHECK(order == "10.0.0.3 10.0.0.200 2001:db8::1 ");
}

TEST_CASE("a MAC address is six pairs of hexadecimal digits, written in lower case") {
  const auto mac = MacAddress::Parse("02:00:5E:aB:00:ff");
  REQUIRE(mac);
  CHECK(mac->bytes == std::array<uint8_t, 6>{0x02, 0x00, 0x5e, 0xab, 0x00, 0xff});
  CHECK(mac->ToString() == "02:00:5e:ab:00:ff");
  for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:01:02", "02-00-00-00-00-01", "2:0:0:0:0:1",
                           "02:00:00:00:00:0g", "02:00:00:00:00:+1", "020000000001", "02:00:00:00:000:1"}) {
    INFO(text);
    CHECK_THAT(ErrorOf(MacAddress::Parse(text)), Contains("MAC address"));
  }
}

TEST_CASE("text of a user is quoted in messages without control characters and cut when it is long") {
  CHECK(Quote("a\"b\\c") == R"("a\"b\\c")");
  CHECK(Quote("\x1b[31m\n\xff") == R"("\x1b[31m\x0a\xff")");
  CHECK(Quote(std::string(81, 'x')) == "\"" + std::string(80, 'x') + "...\"");
}

TEST_CASE("a whole number is decimal digits within its range") {
  CHECK(ParseDecimal("0", 9) == 0u);
  CHECK(ParseDecimal("4294967295", UINT32_MAX) == 4294967295u);
  for (const char* text :
       {"", "10", "-1", "+1", " 1", "1 ", "01", "0x1", "1e0", "4294967296", "99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(ParseDecimal(text, 9));
  }
  CHECK_FALSE(ParseDecimal("4294967296", UINT32_MAX));
}

}  // namespace
}  // namespace shunt

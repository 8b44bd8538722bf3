// SPDX-License-Identifier: Apache-2.0
// The VIP table against a lookup as the program does it, from the ABI's functions.
#include "userspace/dataplane/vip_table.h"

#include <shunt/abi_vip_table.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "userspace/dataplane/encode.h"

namespace shunt {
namespace {

// The half that the table makes, and what is found in it.
class Half {
 public:
  Half(const VipTable& table, const VipTableSize& size) : table_(table), size_(size), lines_(size.lines) {
    for (const VipTable::Line& line : table.lines) {
      REQUIRE(lines_.at(line.number).protocol == 0);
      REQUIRE(lines_[line.number].flags == 0);
      lines_[line.number] = line.vip;
    }
  }
  const shunt_vip* Find(const shunt_vip& key) const {
    uint32_t service = 0;
    std::memcpy(&service, &key.port, sizeof(service));
    const uint64_t hash = shunt_vip_hash(table_.control, key.address.halves[0], key.address.halves[1], service);
    const uint16_t displacement = table_.displacements.at(shunt_vip_group(hash, size_.groups));
    const shunt_vip& line = lines_.at(shunt_vip_line(hash, displacement, size_.lines));
    return std::memcmp(&line, &key, offsetof(shunt_vip, id)) == 0 ? &line : nullptr;
  }
  const std::vector<shunt_vip>& lines() const { return lines_; }

 private:
  const VipTable& table_;
  VipTableSize size_;
  std::vector<shunt_vip> lines_;
};

shunt_vip VipNumber(uint32_t number) {
  IpAddress::Bytes ipv6 = IpAddress::Parse("2001:db8::10").value().bytes();
  ipv6[5] = static_cast<uint8_t>(number >> 4);
  ipv6[6] = static_cast<uint8_t>(number >> 12);
  const auto port = static_cast<uint16_t>(440 + number % 16);
  const IpAddress address =
      number % 2 == 0
          ? IpAddress(ipv6)
          : IpAddress::FromIpv4({203, 0, static_cast<uint8_t>(number >> 12), static_cast<uint8_t>(number >> 4)});
  return EncodeVip({address, port, Protocol::kTcp}, {.id = number + 1, .real_capacity = 4}, number);
}

std::vector<shunt_vip> Vips(uint32_t count) {
  std::vector<shunt_vip> vips;
  for (uint32_t number = 0; number < count; ++number) vips.push_back(VipNumber(number));
  return vips;
}

VipTable MustBuild(std::span<const shunt_vip> vips, const VipTableSize& size, uint32_t seed) {
  auto table = BuildVipTable(vips, size, seed);
  INFO((table ? "" : table.error().message));
  REQUIRE(table);
  return std::move(*table);
}

}  // namespace

TEST_CASE("Every VIP of a table is found and none that it does not have") {
  for (const uint32_t count : {0u, 1u, 2u, 1000u, 8192u}) {
    const VipTableSize size = VipTableSizeFor(std::max(1u, count / 2));
    const std::vector<shunt_vip> vips = Vips(count);
    for (const uint32_t seed : {0u, 1u, 4294967295u}) {
      const auto begin = std::chrono::steady_clock::now();
      const VipTable table = MustBuild(vips, size, seed);
      const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
      std::printf("VIP table of %u keys: built in %.0f us\n", count, took.count());
      const Half half(table, size);
      for (const shunt_vip& vip : vips) {
        const shunt_vip* found = half.Find(vip);
        REQUIRE(found);
        REQUIRE(found->id == vip.id);
      }
      for (uint32_t number = count; number < count + 8192; ++number) REQUIRE_FALSE(half.Find(VipNumber(number)));
      CHECK(VipsIn(half.lines()).size() == count);
    }
  }
}

TEST_CASE("VIPs that differ by one port up and one network down are told apart") {
  std::vector<shunt_vip> vips;
  for (const char* text : {"[2001:db8:1::10]:444/tcp", "[2001:db8:2::10]:443/tcp", "[2001:db8:2::10]:444/tcp",
                           "[2001:db8:1::10]:443/tcp", "[2001:db8:1::10]:443/udp", "[2001:db8:1::11]:443/udp"})
    vips.push_back(EncodeVip(VipKey::Parse(text).value(), {.id = 1}, 0));
  const VipTableSize size = VipTableSizeFor(16);
  const VipTable table = MustBuild(vips, size, 5);
  const Half half(table, size);
  for (const shunt_vip& vip : vips) CHECK(half.Find(vip));
}

TEST_CASE("A table tells whether some VIP is for every port; an address's own entry is not one") {
  const VipTableSize size = VipTableSizeFor(16);
  std::vector<shunt_vip> vips = {VipNumber(0), EncodeAddressEntry(DecodeAddress(VipNumber(0).address), {true, false})};
  CHECK((MustBuild(vips, size, 0).control & SHUNT_VIP_TABLE_ANY_PORT) == 0);
  vips.push_back(EncodeVip({DecodeAddress(VipNumber(0).address), 0, Protocol::kUdp}, {.id = 2}, 0));
  CHECK((MustBuild(vips, size, 0).control & SHUNT_VIP_TABLE_ANY_PORT) != 0);
}

TEST_CASE("The half in force is no business of the table's") {
  for (const uint32_t seed : {0u, 1u, 4294967295u})
    CHECK((MustBuild(Vips(10), VipTableSizeFor(16), seed).control & SHUNT_VIP_TABLE_HALF) == 0);
}

TEST_CASE("More VIPs than a table has room for are refused with both numbers") {
  const VipTableSize size = VipTableSizeFor(1);
  const auto table = BuildVipTable(Vips(size.lines / 2 + 1), size, 0);
  REQUIRE_FALSE(table);
  CHECK(table.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(table.error().message, Catch::Contains("513 VIPs") && Catch::Contains("room for 512"));
}

TEST_CASE("A VIP that is given twice is refused, not looped over") {
  const std::vector<shunt_vip> vips = {VipNumber(0), VipNumber(1), VipNumber(0)};
  CHECK_FALSE(BuildVipTable(vips, VipTableSizeFor(16), 0));
}

TEST_CASE("The sizes of a table are powers of two with room to spare") {
  for (const uint32_t max_vips : {1u, 8u, 257u, 4096u, 4097u}) {
    const VipTableSize size = VipTableSizeFor(max_vips);
    CHECK(std::has_single_bit(size.lines));
    CHECK(std::has_single_bit(size.groups));
    CHECK(size.lines >= 1024);
    CHECK(size.lines >= 4 * max_vips);
    CHECK(size.groups >= 32);
  }
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The lines that tell two desired states apart.
#include <catch2/catch.hpp>

#include "userspace/model/diff.h"

namespace shunt {
namespace {

using Lines = std::vector<std::string>;

const VipKey kWeb = *VipKey::Parse("203.0.113.10:443/tcp");
const VipKey kDns = *VipKey::Parse("[2001:db8::1]:53/udp");
const IpAddress kFirst = *IpAddress::Parse("10.0.0.11");
const IpAddress kSecond = *IpAddress::Parse("10.0.0.12");

DesiredState TwoVips() {
  DesiredState state;
  state.vips[kWeb].reals[kFirst] = {};
  state.vips[kWeb].reals[kSecond] = {};
  state.vips[kDns].reals[kFirst] = {};
  return state;
}

TEST_CASE("equal states have no differences") {
  CHECK(Diff({}, {}).empty());
  CHECK(Diff(TwoVips(), TwoVips()).empty());
}

TEST_CASE("new VIPs and their reals are lines of their own, in the order of the store") {
  CHECK(Diff({}, TwoVips()) == Lines{"+ vip 203.0.113.10:443/tcp", "+ real 203.0.113.10:443/tcp 10.0.0.11",
                                     "+ real 203.0.113.10:443/tcp 10.0.0.12", "+ vip [2001:db8::1]:53/udp",
                                     "+ real [2001:db8::1]:53/udp 10.0.0.11"});
}

TEST_CASE("removed VIPs and reals are lines with a minus") {
  DesiredState to = TwoVips();
  to.vips.erase(kDns);
  to.vips[kWeb].reals.erase(kSecond);
  CHECK(Diff(TwoVips(), to) == Lines{"- real 203.0.113.10:443/tcp 10.0.0.12", "- vip [2001:db8::1]:53/udp",
                                     "- real [2001:db8::1]:53/udp 10.0.0.11"});
}

TEST_CASE("a new VIP or real names what it does not take from the defaults") {
  DesiredState to;
  to.vips[kWeb] = {.tracking = Tracking::kNone,
                   .ring_size = 4099,
                   .outer_ttl = 3,
                   .udp_idle_seconds = 5,
                   .tcp_settle_seconds = 6,
                   .reals = {}};
  to.vips[kDns].quic = true;
  to.vips[kWeb].reals[kFirst] = {.weight = 20, .state = RealState::kDrain};
  to.vips[kWeb].reals[kSecond] = {.weight = kDefaultWeight, .state = RealState::kDrain};
  CHECK(Diff({}, to) ==
        Lines{"+ vip 203.0.113.10:443/tcp: tracking none, ring_size 4099, outer_ttl 3, udp_idle_seconds 5, "
              "tcp_settle_seconds 6",
              "+ real 203.0.113.10:443/tcp 10.0.0.11: weight 20, state drain",
              "+ real 203.0.113.10:443/tcp 10.0.0.12: state drain", "+ vip [2001:db8::1]:53/udp: quic true"});
}

TEST_CASE("a changed setting shows both values") {
  DesiredState to = TwoVips();
  to.vips[kWeb].tracking = Tracking::kNone;
  to.vips[kWeb].ring_size = 4099;
  to.vips[kWeb].outer_ttl = 255;
  to.vips[kWeb].udp_idle_seconds = 5;
  to.vips[kWeb].tcp_settle_seconds = 6;
  to.vips[kDns].quic = true;
  to.vips[kWeb].reals[kFirst].weight = 20;
  to.vips[kDns].reals[kFirst].state = RealState::kDrain;
  const Lines forth = {"~ vip 203.0.113.10:443/tcp: tracking default -> none",
                       "~ vip 203.0.113.10:443/tcp: ring_size default -> 4099",
                       "~ vip 203.0.113.10:443/tcp: outer_ttl default -> 255",
                       "~ vip 203.0.113.10:443/tcp: udp_idle_seconds default -> 5",
                       "~ vip 203.0.113.10:443/tcp: tcp_settle_seconds default -> 6",
                       "~ real 203.0.113.10:443/tcp 10.0.0.11: weight 10 -> 20",
                       "~ vip [2001:db8::1]:53/udp: quic false -> true",
                       "~ real [2001:db8::1]:53/udp 10.0.0.11: state active -> drain"};
  CHECK(Diff(TwoVips(), to) == forth);
  CHECK(Diff(to, TwoVips()).front() == "~ vip 203.0.113.10:443/tcp: tracking none -> default");
}

TEST_CASE("a VIP that spells out the default is a difference, though it behaves alike") {
  DesiredState to = TwoVips();
  to.vips[kWeb].ring_size = to.defaults.ring_size;
  CHECK(Diff(TwoVips(), to) == Lines{"~ vip 203.0.113.10:443/tcp: ring_size default -> 65537"});
}

TEST_CASE("global settings come first, and the hash key is never shown") {
  DesiredState to = TwoVips();
  to.hash_key[0] = 0xab;
  to.defaults = {.tracking = Tracking::kNone,
                 .ring_size = 4099,
                 .outer_ttl = 3,
                 .udp_idle_seconds = 61,
                 .tcp_settle_seconds = 601};
  to.outer_source.ipv4 = *Prefix::Parse("10.9.0.0/16");
  to.vips.erase(kDns);
  CHECK(Diff(TwoVips(), to) ==
        Lines{"~ hash_key", "~ defaults: tracking moving -> none", "~ defaults: ring_size 65537 -> 4099",
              "~ defaults: outer_ttl 64 -> 3", "~ defaults: udp_idle_seconds 60 -> 61",
              "~ defaults: tcp_settle_seconds 600 -> 601", "~ outer_source: ipv4 unset -> 10.9.0.0/16",
              "- vip [2001:db8::1]:53/udp", "- real [2001:db8::1]:53/udp 10.0.0.11"});
  DesiredState v6 = TwoVips();
  v6.outer_source.ipv6 = *Prefix::Parse("2001:db8:9::/64");
  CHECK(Diff(v6, TwoVips()) == Lines{"~ outer_source: ipv6 2001:db8:9::/64 -> unset"});
}

}  // namespace
}  // namespace shunt

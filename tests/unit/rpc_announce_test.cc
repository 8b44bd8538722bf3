// SPDX-License-Identifier: Apache-2.0
// What is announced, and digests, over the API: as messages, and end to end.
#include "tests/unit/rpc_testing.h"
#include "userspace/rpc/announce_convert.h"

namespace shunt {
namespace {

using testing::Contains;
using Daemon = testing::RpcDaemon;
constexpr const char* kVip = testing::kRpcVip;

AnnounceReport Report() {
  AnnounceReport report{.table = 83, .protocol = 84, .problem = "adding route: Permission denied"};
  report.prefixes[*Prefix::Parse("203.0.113.0/24")] = {
      .announcing = Announcing::kWithdrawn,
      .metric = 0,
      .cause = "held down, for it came and went: 1 healthy reals",
      .since = std::chrono::system_clock::time_point(std::chrono::milliseconds(1700000000123)),
      .held = std::chrono::seconds(4),
      .communities = {"64512:1", "64512:1:2"},
      .vips = {*VipKey::Parse(kVip), *VipKey::Parse("203.0.113.11:53/udp")}};
  PrefixAnnouncing& lowered = report.prefixes[*Prefix::Parse("2001:db8::/32")];
  lowered.announcing = Announcing::kLowered;
  lowered.metric = 1100;
  report.vips[*VipKey::Parse(kVip)] = {.wanted = Announcing::kGraceful,
                                       .planned = true,
                                       .cause = "the host drains",
                                       .healthy_reals = 3,
                                       .healthy_percent = 75};
  return report;
}

TEST_CASE("All that is known of announcing is in the message", "[rpc]") {
  REQUIRE(ToAnnouncements(Report(), HostPhase::kDraining).ShortDebugString() ==
          "table: 83 protocol: 84 problem: \"adding route: Permission denied\" host: \"draining\" "
          "prefixes { prefix: \"203.0.113.0/24\" state: \"withdrawn\" "
          "cause: \"held down, for it came and went: 1 healthy reals\" since_ms: 1700000000123 held_seconds: 4 "
          "communities: \"64512:1\" communities: \"64512:1:2\" vips: \"203.0.113.10:443/tcp\" "
          "vips: \"203.0.113.11:53/udp\" } "
          "prefixes { prefix: \"2001:db8::/32\" state: \"lowered\" metric: 1100 } "
          "vips { vip: \"203.0.113.10:443/tcp\" state: \"graceful\" cause: \"the host drains\" healthy_reals: 3 "
          "healthy_percent: 75 }");
}

TEST_CASE("What was published is told over the API, and before anything was there is nothing", "[rpc]") {
  Daemon daemon;
  const auto none = daemon.client->GetAnnouncements();
  REQUIRE(none);
  REQUIRE(none->ShortDebugString() == "host: \"serving\"");
  daemon.controller->PublishAnnouncements(Report());
  const auto published = daemon.client->GetAnnouncements();
  REQUIRE(published);
  REQUIRE(published->ShortDebugString() == ToAnnouncements(Report(), HostPhase::kServing).ShortDebugString());
}

TEST_CASE("Digests over the API name each VIP, the hash key and the host, and follow every change", "[rpc]") {
  Daemon daemon;
  const auto empty = daemon.client->GetDigests();
  REQUIRE(empty);
  REQUIRE(empty->vips_size() == 0);
  REQUIRE(empty->hash_key_id() == HashKeyId(daemon.controller->snapshot()->desired.hash_key));
  daemon.AddVipWithReals();
  const auto first = daemon.client->GetDigests();
  REQUIRE(first);
  REQUIRE(first->host() == "serving");
  REQUIRE(first->generation() == daemon.controller->snapshot()->store->generation);
  REQUIRE(first->vips_size() == 1);
  REQUIRE(first->vips(0).vip() == kVip);
  REQUIRE(daemon.client->GetDigests()->SerializeAsString() == first->SerializeAsString());

  v1::RealRequest real;
  real.set_vip(kVip);
  real.mutable_real()->set_address("10.0.0.13");
  REQUIRE(daemon.client->AddReal(real));
  const auto second = daemon.client->GetDigests();
  REQUIRE(second->vips(0).ring() != first->vips(0).ring());
  REQUIRE(second->vips(0).settings() != first->vips(0).settings());
  REQUIRE(second->generation() > first->generation());
  REQUIRE(second->hash_key_id() == first->hash_key_id());
}

TEST_CASE("Two daemons with one store have the same digests, whatever else they went through", "[rpc]") {
  Daemon here, there;
  v1::VipRequest other;
  other.mutable_vip()->set_vip("203.0.113.9:80/tcp");
  REQUIRE(there.client->AddVip(other));
  here.AddVipWithReals();
  const auto config = here.client->GetConfig();
  REQUIRE(config);
  v1::ApplyRequest apply;
  *apply.mutable_config() = *config;
  REQUIRE(there.client->Apply(apply));
  const auto ours = here.client->GetDigests(), theirs = there.client->GetDigests();
  REQUIRE(theirs->vips_size() == 1);
  REQUIRE(theirs->vips(0).ring() == ours->vips(0).ring());
  REQUIRE(theirs->vips(0).settings() == ours->vips(0).settings());
  REQUIRE(theirs->hash_key_id() == ours->hash_key_id());
}

TEST_CASE("An announcement that cannot be is refused over the API by the VIP's name", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  v1::VipRequest vip;
  vip.mutable_vip()->set_vip(kVip);
  vip.mutable_vip()->mutable_announce()->set_prefix("198.51.100.0/24");
  const auto set = daemon.client->SetVip(vip);
  REQUIRE_FALSE(set);
  REQUIRE(set.error().kind == ErrorKind::kInvalid);
  REQUIRE(Contains(set.error().message, kVip));
  REQUIRE(Contains(set.error().message, "198.51.100.0/24 does not hold the VIP's address 203.0.113.10"));
  vip.mutable_vip()->mutable_announce()->set_prefix("203.0.113.0/24");
  REQUIRE(daemon.client->SetVip(vip)->changes(0) ==
          "~ vip 203.0.113.10:443/tcp: announce.prefix default -> 203.0.113.0/24");
}

}  // namespace
}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Changes of one VIP's announcement: field by field, and back to the default.
#include <catch2/catch.hpp>

#include "userspace/model/config_proto.h"
#include "userspace/rpc/edit.h"

namespace shunt {
namespace {

const VipKey kWeb = *VipKey::Parse("203.0.113.10:443/tcp");
using Lines = std::vector<std::string>;

v1::Vip Named() {
  v1::Vip vip;
  vip.set_vip(kWeb.ToString());
  return vip;
}

DesiredState Announced() {
  DesiredState state;
  state.vips[kWeb].announce = {.state = AnnounceState::kDown,
                               .min_reals = 2,
                               .on_drain = StepDown::kLower,
                               .prefix = *Prefix::Parse("203.0.113.0/24"),
                               .communities = Lines{"64512:1"}};
  return state;
}

TEST_CASE("Of a VIP's announcement only what a request names is changed", "[rpc]") {
  DesiredState state = Announced();
  AnnounceSettings expected = state.vips[kWeb].announce;
  v1::Vip change = Named();
  change.mutable_announce()->set_state(v1::ANNOUNCE_STATE_UP);
  change.mutable_announce()->set_preference(7);
  REQUIRE(SetVip(state, change));
  expected.state = AnnounceState::kUp;
  expected.preference = 7;
  REQUIRE(state.vips[kWeb].announce == expected);
  change = Named();
  change.set_outer_ttl(3);
  change.mutable_announce();
  REQUIRE(SetVip(state, change));
  REQUIRE(state.vips[kWeb].announce == expected);
  change = Named();
  change.mutable_announce()->add_communities("64512:2");
  change.mutable_announce()->add_communities("64512:3");
  REQUIRE(SetVip(state, change));
  expected.communities = Lines{"64512:2", "64512:3"};
  REQUIRE(state.vips[kWeb].announce == expected);
}

TEST_CASE("What a VIP says of its announcement is taken back by the word default, or by nothing in its place",
          "[rpc]") {
  DesiredState state = Announced();
  v1::Vip change = Named();
  change.mutable_announce()->set_state(v1::ANNOUNCE_STATE_UNSPECIFIED);
  change.mutable_announce()->set_on_drain(v1::STEP_DOWN_UNSPECIFIED);
  change.mutable_announce()->set_prefix("");
  change.mutable_announce()->add_communities("");
  REQUIRE(SetVip(state, change));
  REQUIRE(state.vips[kWeb].announce == AnnounceSettings{.min_reals = 2});
}

TEST_CASE("A new VIP has what is said of its announcement, and nothing else", "[rpc]") {
  DesiredState state;
  v1::Vip vip = Named();
  vip.mutable_announce()->set_min_percent(50);
  vip.mutable_announce()->set_on_unhealthy(v1::STEP_DOWN_LOWER);
  vip.mutable_announce()->set_on_drain(v1::STEP_DOWN_UNSPECIFIED);
  REQUIRE(AddVip(state, vip));
  REQUIRE(state.vips[kWeb].announce == AnnounceSettings{.min_percent = 50, .on_unhealthy = StepDown::kLower});
}

TEST_CASE("An announcement that is wrong in form changes nothing, and is told with its field", "[rpc]") {
  DesiredState state = Announced();
  const DesiredState before = state;
  v1::Vip change = Named();
  change.set_outer_ttl(3);
  change.mutable_announce()->set_preference(7);
  change.mutable_announce()->set_prefix("203.0.113.1/24");
  const Status status = SetVip(state, change);
  REQUIRE_FALSE(status);
  REQUIRE(status.error().kind == ErrorKind::kInvalid);
  REQUIRE(status.error().message.starts_with("announce.prefix: "));
  REQUIRE(state == before);
}

}  // namespace
}  // namespace shunt

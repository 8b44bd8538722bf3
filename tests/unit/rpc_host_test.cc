// SPDX-License-Identifier: Apache-2.0
// The host as a whole over the API: drained, and shown with its interfaces.
#include "tests/unit/rpc_testing.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {
namespace {

TEST_CASE("The API drains a host and shows it, with its interfaces", "[rpc]") {
  testing::RpcDaemon daemon;
  v1::HostRequest request;
  request.mutable_host()->set_state(v1::HOST_STATE_DRAIN);
  const auto reply = daemon.client->SetHost(request);
  REQUIRE(reply);
  REQUIRE(reply->changes_size() == 1);
  daemon.controller->PublishInterfaces(
      {{.name = "eth0", .index = 2, .attached = true, .native = true, .problem = ""},
       {.name = "eth1", .index = 0, .attached = false, .native = false, .problem = "it is not there"}});
  const auto state = daemon.client->GetState();
  REQUIRE(state);
  REQUIRE(state->host() == "draining");
  REQUIRE(state->interfaces_size() == 2);
  REQUIRE(state->interfaces(0).mode() == "native");
  REQUIRE(state->interfaces(1).problem() == "it is not there");
  REQUIRE(daemon.client->SetHost({}).error().kind == ErrorKind::kInvalid);
  request.mutable_host()->set_state(static_cast<v1::HostState>(77));
  REQUIRE(daemon.client->SetHost(request).error().kind == ErrorKind::kInvalid);
  REQUIRE(daemon.controller->snapshot()->host == HostPhase::kDraining);
}

}  // namespace
}  // namespace shunt

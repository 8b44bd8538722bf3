// SPDX-License-Identifier: Apache-2.0
// Generations of the store over the API: listed, compared, gone back to, confirmed; the store read again.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/unit/rpc_testing.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/store_file.h"
#include "userspace/rpc/service.h"

namespace shunt {
namespace {

using namespace testing;  // NOLINT: the tests read like the code

// The verb, and who used it: this process.
std::string Caller(const std::string& verb) { return fmt::format("{} (uid {})", verb, geteuid()); }

v1::RealRequest RealOf(const std::string& address) {
  v1::RealRequest request;
  request.set_vip(kRpcVip);
  request.mutable_real()->set_address(address);
  return request;
}

v1::ApplyRequest Apply(const v1::Config& config, uint32_t confirm_seconds) {
  v1::ApplyRequest request;
  *request.mutable_config() = config;
  request.set_confirm_seconds(confirm_seconds);
  return request;
}

v1::RollbackRequest RollbackTo(uint64_t generation) {
  v1::RollbackRequest request;
  request.set_generation(generation);
  return request;
}

TEST_CASE("The history tells each generation with its verb, and two can be compared", "[rpc]") {
  RpcDaemon daemon;
  daemon.AddVipWithReals();
  const auto history = daemon.client->ListGenerations({});
  REQUIRE(history);
  REQUIRE(history->generations_size() == 3);
  CHECK(history->in_force() == 3);
  CHECK_FALSE(history->has_unconfirmed());
  CHECK(history->generations(1).by() == Caller("vip add"));
  CHECK(history->generations(1).changes() == 2);
  CHECK(history->generations(2).by() == Caller("real add"));
  CHECK(history->generations(2).first_change() == "+ real 203.0.113.10:443/tcp 2001:db8::12: weight 0");
  CHECK(history->generations(2).since_s() >= history->generations(1).since_s());
  v1::ListGenerationsRequest newest;
  newest.set_limit(1);
  REQUIRE(daemon.client->ListGenerations(newest)->generations_size() == 1);
  CHECK(daemon.client->ListGenerations(newest)->generations(0).number() == 3);

  v1::DiffGenerationsRequest request;
  request.set_from(2);
  auto differences = daemon.client->DiffGenerations(request);
  REQUIRE(differences);
  CHECK(differences->to() == 3);
  REQUIRE(differences->changes_size() == 1);
  CHECK(differences->changes(0) == "+ real 203.0.113.10:443/tcp 2001:db8::12: weight 0");
  request.set_from(3);
  request.set_to(2);
  CHECK(daemon.client->DiffGenerations(request)->changes(0) == "- real 203.0.113.10:443/tcp 2001:db8::12");
  request.set_to(9);
  CHECK(daemon.client->DiffGenerations(request).error().kind == ErrorKind::kNotFound);
}

TEST_CASE("A rollback over the API makes an older generation be in force again", "[rpc]") {
  RpcDaemon daemon;
  daemon.AddVipWithReals();
  v1::RollbackRequest dry = RollbackTo(2);
  dry.set_dry_run(true);
  CHECK(daemon.client->Rollback(dry)->changes_size() == 1);
  CHECK(daemon.client->GetState()->generation() == 3);
  const auto reply = daemon.client->Rollback(RollbackTo(2));
  REQUIRE(reply);
  CHECK(reply->generation() == 4);
  CHECK(daemon.client->GetConfig()->vips(0).reals_size() == 1);
  CHECK(daemon.client->ListGenerations({})->generations(3).by() == Caller("rollback 2"));
  CHECK(daemon.client->Rollback(RollbackTo(0)).error().kind == ErrorKind::kNotFound);
  CHECK(daemon.client->Rollback(RollbackTo(~0ull)).error().kind == ErrorKind::kNotFound);
}

TEST_CASE("A change that waits is told by every answer, refuses others, and can be confirmed once", "[rpc]") {
  RpcDaemon daemon;
  daemon.AddVipWithReals();
  v1::Config config = daemon.client->GetConfig().value();
  config.mutable_vips(0)->mutable_reals(0)->set_weight(99);
  const auto reply = daemon.client->Apply(Apply(config, 600));
  REQUIRE(reply);
  CHECK(reply->unconfirmed().back_to() == 3);
  CHECK(reply->unconfirmed().seconds_left() == 600);
  const auto state = daemon.client->GetState();
  CHECK(state->generation() == 4);
  CHECK(state->unconfirmed().back_to() == 3);
  CHECK(state->unconfirmed().seconds_left() > 500);
  CHECK(daemon.client->ListGenerations({})->unconfirmed().back_to() == 3);
  const auto refused = daemon.client->AddReal(RealOf("10.0.0.77"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kExists);
  CHECK(Contains(refused.error().message, "shuntctl confirm keeps it, shuntctl rollback 3 takes it back"));
  CHECK(daemon.client->Confirm()->generation() == 4);
  CHECK_FALSE(daemon.client->GetState()->has_unconfirmed());
  CHECK(daemon.client->Confirm().error().kind == ErrorKind::kNotFound);
  CHECK(daemon.client->AddReal(RealOf("10.0.0.77")));
}

TEST_CASE("A change that nobody confirms is taken back by the daemon itself", "[rpc]") {
  RpcDaemon daemon;
  daemon.AddVipWithReals();
  v1::Config config = daemon.client->GetConfig().value();
  config.clear_vips();
  REQUIRE(daemon.client->Apply(Apply(config, 1)));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (daemon.client->GetState()->vips_size() == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  CHECK(daemon.client->GetState()->vips_size() == 1);
  CHECK(daemon.client->GetState()->generation() == 5);
  CHECK_FALSE(daemon.client->GetState()->has_unconfirmed());
}

TEST_CASE("Times to confirm out of range are refused over the API", "[rpc]") {
  RpcDaemon daemon;
  daemon.AddVipWithReals();
  v1::RollbackRequest request = RollbackTo(2);
  request.set_confirm_seconds(86401);
  const auto refused = daemon.client->Rollback(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kInvalid);
  CHECK(daemon.client->GetState()->generation() == 3);
}

TEST_CASE("A reload over the API prints what somebody edited, or what is wrong with it", "[rpc]") {
  RpcDaemon daemon;
  daemon.AddVipWithReals();
  const std::string path = daemon.folder / "shunt.yaml";
  CHECK(daemon.client->Reload()->changes_size() == 0);
  DesiredState state;
  REQUIRE(FromProto(*daemon.client->GetConfig(), state).empty());
  const VipKey key = *VipKey::Parse(kRpcVip);
  state.vips[key].reals[*IpAddress::Parse("10.0.0.11")].weight = 77;
  std::ofstream(path) << ToYaml(state);
  const auto reply = daemon.client->Reload();
  REQUIRE(reply);
  REQUIRE(reply->changes_size() == 1);
  CHECK(reply->changes(0) == "~ real 203.0.113.10:443/tcp 10.0.0.11: weight 10 -> 77");
  CHECK(daemon.client->ListGenerations({})->generations(3).by() == Caller("reload"));
  std::ofstream(path) << "vips: 7\n";
  const auto refused = daemon.client->Reload();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kInvalid);
  CHECK(Contains(refused.error().message, path + ":1: vips"));
  CHECK(daemon.client->GetState()->generation() == 4);
}

TEST_CASE("The history names callers as the server tells them", "[rpc]") {
  RpcDaemon daemon;
  ShuntService service(*daemon.controller, daemon.dataplane, [](const grpc::ServerContext&) { return "uid 7"; });
  grpc::ServerContext context;
  v1::VipRequest request;
  request.mutable_vip()->set_vip(kRpcVip);
  v1::ChangeReply reply;
  REQUIRE(service.AddVip(&context, &request, &reply).ok());
  CHECK(daemon.client->ListGenerations({})->generations(1).by() == "vip add (uid 7)");
}

TEST_CASE("Changes of many callers at once are all made, one after another", "[rpc]") {
  RpcDaemon daemon;
  daemon.AddVipWithReals();
  v1::VipRequest room;
  room.mutable_vip()->set_vip(kRpcVip);
  room.mutable_vip()->set_ring_size(257);
  REQUIRE(daemon.client->SetVip(room));
  constexpr int kCallers = 8;
  constexpr int kEach = 10;
  std::vector<std::thread> callers;
  std::mutex mutex;  // guards what follows
  std::vector<std::string> refusals;
  const auto note = [&](const Result<v1::ChangeReply>& reply) {
    const std::lock_guard lock(mutex);
    if (!reply) refusals.push_back(reply.error().message);
  };
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      auto client = ctl::Client::Connect(daemon.socket);
      for (int i = 0; i < kEach; ++i) {
        const std::string real = fmt::format("10.7.{}.{}", caller, i);
        note((*client)->AddReal(RealOf(real)));
        if (i % 2 == 0) continue;
        v1::RemoveRealRequest remove;
        remove.set_vip(kRpcVip);
        remove.set_address(real);
        note((*client)->RemoveReal(remove));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(refusals == std::vector<std::string>());
  CHECK(daemon.client->GetConfig()->vips(0).reals_size() == 2 + kCallers * kEach / 2);
  CHECK(daemon.client->GetState()->generation() == 4 + kCallers * kEach * 3 / 2);
}

}  // namespace
}  // namespace shunt

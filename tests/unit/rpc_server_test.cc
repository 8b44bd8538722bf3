// SPDX-License-Identifier: Apache-2.0
// The API end to end: shuntctl's client, gRPC, a real socket in a folder of its own, the controller, a data plane in
// memory.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tests/unit/rpc_testing.h"
#include "userspace/base/unique_fd.h"
#include "userspace/model/config_proto.h"

namespace shunt {
namespace {

using testing::Contains;
using Daemon = testing::RpcDaemon;
constexpr const char* kVip = testing::kRpcVip;

mode_t ModeOf(const std::string& path) {
  struct stat status{};
  return lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

TEST_CASE("VIPs and reals are added, changed and removed over the API", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  v1::VipRequest vip;
  vip.mutable_vip()->set_vip(kVip);
  vip.mutable_vip()->set_tracking(v1::TRACKING_NONE);
  const auto set = daemon.client->SetVip(vip);
  REQUIRE(set);
  REQUIRE(set->changes_size() == 1);
  REQUIRE(Contains(set->changes(0), "tracking"));
  REQUIRE(daemon.client->SetVip(vip)->changes_size() == 0);

  v1::RealRequest real;
  real.set_vip(kVip);
  real.mutable_real()->set_address("10.0.0.11");
  real.mutable_real()->set_state(v1::REAL_STATE_DRAIN);
  REQUIRE(daemon.client->SetReal(real)->changes_size() == 1);
  v1::RemoveRealRequest removal;
  removal.set_vip(kVip);
  removal.set_address("2001:db8::12");
  REQUIRE(daemon.client->RemoveReal(removal)->changes_size() == 1);

  auto state = daemon.client->GetState();
  REQUIRE(state);
  REQUIRE(state->vips_size() == 1);
  REQUIRE(state->vips(0).tracking() == v1::TRACKING_NONE);
  REQUIRE(state->vips(0).ring_size() == 13);
  REQUIRE(state->vips(0).reals_size() == 1);
  REQUIRE(state->vips(0).reals(0).state() == v1::REAL_STATE_DRAIN);

  v1::RemoveVipRequest vip_removal;
  vip_removal.set_vip(kVip);
  REQUIRE(daemon.client->RemoveVip(vip_removal));
  REQUIRE(daemon.client->GetState()->vips_size() == 0);
  const auto again = daemon.client->RemoveVip(vip_removal);
  REQUIRE_FALSE(again);
  REQUIRE(again.error().kind == ErrorKind::kNotFound);
}

TEST_CASE("QUIC on a TCP VIP is refused over the API, by the VIP's name", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  v1::VipRequest vip;
  vip.mutable_vip()->set_vip(kVip);
  vip.mutable_vip()->set_quic(true);
  const auto set = daemon.client->SetVip(vip);
  REQUIRE_FALSE(set);
  REQUIRE(set.error().kind == ErrorKind::kInvalid);
  REQUIRE(Contains(set.error().message, kVip));
  REQUIRE(Contains(set.error().message, "QUIC runs over UDP"));
  REQUIRE_FALSE(daemon.client->GetState()->vips(0).quic());
}

TEST_CASE("State, verdicts and flows show what packets did", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  daemon.SendFirstPacket("198.51.100.7:40000");
  daemon.SendFirstPacket("198.51.100.7:40001");
  daemon.SendFirstPacket("198.51.100.7:40001");

  const auto state = daemon.client->GetState();
  REQUIRE(state);
  const v1::VipState& vip = state->vips(0);
  REQUIRE(vip.traffic().packets() == 3);
  REQUIRE(vip.traffic().new_flows() == 2);
  REQUIRE(vip.reals(0).slots() == 13);
  REQUIRE(vip.reals(0).traffic().packets() == 3);
  REQUIRE(Contains(vip.reals(0).next_hop(), "02:00:00:00:00:01 dev"));
  REQUIRE(vip.reals(1).slots() == 0);
  REQUIRE(vip.reals(1).next_hop().empty());
  REQUIRE(Contains(vip.reals(1).problem(), "2001:db8::12"));

  const auto verdicts = daemon.client->GetVerdicts();
  REQUIRE(verdicts);
  uint64_t packets = 0;
  for (const auto& verdict : verdicts->verdicts()) {
    packets += verdict.packets();
    REQUIRE(verdict.packets() == (verdict.name() == "TX_ENCAPSULATED" ? 3u : 0u));
  }
  REQUIRE(packets == 3);

  v1::ListFlowsRequest request;
  const auto flows = daemon.client->ListFlows(request);
  REQUIRE(flows);
  REQUIRE(flows->flows_size() == 2);
  REQUIRE(flows->flows(0).destination() == kVip);
  REQUIRE(flows->flows(0).real() == "10.0.0.11");
  REQUIRE(flows->flows(0).idle_seconds() < 60);
  REQUIRE_FALSE(flows->more());
  request.set_limit(1);
  REQUIRE(daemon.client->ListFlows(request)->more());
  request.set_limit(2000000);
  REQUIRE(daemon.client->ListFlows(request).error().kind == ErrorKind::kInvalid);
}

TEST_CASE("Explain tells verdict and real, and a remembered flow's real before the ring's", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  v1::ExplainRequest request;
  request.set_source("198.51.100.7:40000");
  request.set_destination(kVip);
  auto explanation = daemon.client->Explain(request);
  REQUIRE(explanation);
  REQUIRE(explanation->verdict() == "TX_ENCAPSULATED");
  REQUIRE(explanation->action() == "XDP_TX");
  REQUIRE(explanation->vip() == kVip);
  REQUIRE(explanation->real() == "10.0.0.11");
  REQUIRE(explanation->steps_size() > 3);
  REQUIRE(Contains(explanation->steps(explanation->steps_size() - 1).sentence(), "REDIRECT_ENCAPSULATED"));

  // The flow is remembered; then its real is drained and every slot goes to another one.
  daemon.SendFirstPacket("198.51.100.7:40000");
  v1::RealRequest real;
  real.set_vip(kVip);
  real.mutable_real()->set_address("10.0.0.13");
  REQUIRE(daemon.client->AddReal(real));
  real.mutable_real()->set_address("10.0.0.11");
  real.mutable_real()->set_state(v1::REAL_STATE_DRAIN);
  REQUIRE(daemon.client->SetReal(real));
  REQUIRE(daemon.client->Explain(request)->real() == "10.0.0.11");
  request.set_source("198.51.100.7:40001");
  REQUIRE(daemon.client->Explain(request)->real() == "10.0.0.13");

  request.set_destination("203.0.113.99:443/tcp");
  REQUIRE(daemon.client->Explain(request)->verdict() == "PASS_NOT_VIP");
  request.set_destination("203.0.113.10:*/tcp");
  REQUIRE(daemon.client->Explain(request).error().kind == ErrorKind::kInvalid);
  request.set_destination("[2001:db8::1]:443/tcp");
  REQUIRE(Contains(daemon.client->Explain(request).error().message, "one is IPv4, the other IPv6"));
}

TEST_CASE("Apply makes the whole state, a dry run only tells it", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  const auto before = daemon.client->GetConfig();
  REQUIRE(before);
  REQUIRE(before->hash_key().size() == 34);
  v1::ApplyRequest request;
  request.mutable_config()->add_vips()->set_vip("203.0.113.20:80/tcp");
  request.set_dry_run(true);
  const auto dry = daemon.client->Apply(request);
  REQUIRE(dry);
  REQUIRE(dry->changes_size() >= 2);
  REQUIRE(daemon.client->GetConfig()->SerializeAsString() == before->SerializeAsString());

  request.set_dry_run(false);
  REQUIRE(daemon.client->Apply(request)->changes_size() == dry->changes_size());
  const auto after = daemon.client->GetConfig();
  REQUIRE(after->vips_size() == 1);
  REQUIRE(after->vips(0).vip() == "203.0.113.20:80/tcp");
  REQUIRE(after->hash_key() == before->hash_key());
  REQUIRE(daemon.client->Apply(request)->changes_size() == 0);
}

TEST_CASE("A configuration of 100 000 reals fits into a message", "[rpc]") {
  Daemon daemon;
  DesiredState state;
  state.defaults.ring_size = 4099;
  for (uint8_t i = 0; i < 100; ++i) {
    Vip& vip = state.vips[VipKey{IpAddress::FromIpv4({203, 0, 113, i}), 443, Protocol::kTcp}];
    for (uint32_t j = 0; j < 1000; ++j) {
      vip.reals[IpAddress::FromIpv4({10, i, static_cast<uint8_t>(j >> 8), static_cast<uint8_t>(j)})] = Real{};
    }
  }
  v1::ApplyRequest request;
  *request.mutable_config() = ToProto(state);
  const auto reply = daemon.client->Apply(request);
  REQUIRE(reply);
  const auto now = daemon.client->GetState();
  REQUIRE(now);
  REQUIRE(now->vips_size() == 100);
  REQUIRE(now->vips(99).reals_size() == 1000);
}

TEST_CASE("Ten thousand problems arrive, the last of them as a number", "[rpc]") {
  Daemon daemon;
  v1::ApplyRequest request;
  for (int i = 0; i < 10000; ++i) request.mutable_config()->add_vips()->set_vip("203.0.113.10:443/sctp");
  const auto reply = daemon.client->Apply(request);
  REQUIRE_FALSE(reply);
  REQUIRE(reply.error().kind == ErrorKind::kInvalid);
  REQUIRE(std::ranges::count(reply.error().message, '\n') > 1000);
  REQUIRE(reply.error().message.ends_with(" more lines"));
}

TEST_CASE("Only the daemon's user and group may open the socket, and it goes with the daemon", "[rpc]") {
  Daemon daemon;
  REQUIRE(ModeOf(daemon.socket) == 0660);
  REQUIRE((ModeOf(daemon.folder / "run") & 0007) == 0);
  daemon.server.reset();
  REQUIRE_FALSE(std::filesystem::exists(daemon.socket));
  const auto refused = ctl::Client::Connect(daemon.socket);
  REQUIRE_FALSE(refused);
  REQUIRE(Contains(refused.error().message, "is it running? (systemctl status shuntd)"));
  const auto call = daemon.client->GetState();
  REQUIRE_FALSE(call);
  REQUIRE(Contains(call.error().message, "cannot reach shuntd at " + daemon.socket));
}

TEST_CASE("A second daemon on a socket is refused and the first goes on", "[rpc]") {
  Daemon daemon;
  const auto second = daemon.Serve(daemon.socket);
  REQUIRE_FALSE(second);
  REQUIRE(Contains(second.error().message, "another daemon answers there"));
  REQUIRE(daemon.client->GetState());
  REQUIRE(ctl::Client::Connect(daemon.socket));
}

TEST_CASE("A socket that a dead daemon left is replaced, any other file is kept", "[rpc]") {
  Daemon daemon;
  const std::string stale = daemon.folder / "stale.sock";
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, stale.c_str(), stale.size() + 1);
    const UniqueFd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  REQUIRE(std::filesystem::exists(stale));
  const auto server = daemon.Serve(stale);
  REQUIRE(server);
  REQUIRE(ModeOf(stale) == 0660);
  REQUIRE(ctl::Client::Connect(stale));

  const std::string file = daemon.folder / "file";
  std::ofstream(file) << "precious";
  const auto refused = daemon.Serve(file);
  REQUIRE_FALSE(refused);
  REQUIRE(Contains(refused.error().message, "not a socket"));
  REQUIRE(std::filesystem::file_size(file) == 8);
}

TEST_CASE("A socket path longer than the kernel takes is refused by both sides", "[rpc]") {
  Daemon daemon;
  const std::string path = daemon.folder / std::string(120, 'x');
  const auto server = daemon.Serve(path);
  REQUIRE_FALSE(server);
  REQUIRE(server.error().kind == ErrorKind::kInvalid);
  REQUIRE(ctl::Client::Connect(path).error().kind == ErrorKind::kInvalid);
}

}  // namespace
}  // namespace shunt

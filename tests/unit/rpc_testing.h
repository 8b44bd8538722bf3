// SPDX-License-Identifier: Apache-2.0
// For the tests of the API: what shuntd is made of, on a socket and a store in a folder of its own and a data plane in
// memory, and a client of it.
#pragma once

#include <glog/logging.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "tools/shuntctl/client.h"
#include "userspace/control/controller.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/dataplane/packet_model.h"
#include "userspace/net/static_next_hops.h"
#include "userspace/rpc/server.h"

namespace shunt::testing {

inline constexpr const char* kRpcVip = "203.0.113.10:443/tcp";

class RpcFolder {
 public:
  RpcFolder() {
    char name[] = "/tmp/shunt-rpc-XXXXXX";
    path_ = mkdtemp(name);
  }
  RpcFolder(const RpcFolder&) = delete;
  RpcFolder& operator=(const RpcFolder&) = delete;
  ~RpcFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// What shuntd is made of, with nothing of the kernel's.
struct RpcDaemon {
  RpcFolder folder;
  std::string socket = folder / "run/shuntd.sock";
  MemoryDataplane dataplane{Capacities{200, 300000, 1000}};
  StaticNextHops next_hops{{.local_mac = *MacAddress::Parse("02:00:00:00:00:02"),
                            .gateway_mac = *MacAddress::Parse("02:00:00:00:00:01"),
                            .ipv4_source = *IpAddress::Parse("192.0.2.1"),
                            .ipv6_source = std::nullopt}};
  std::unique_ptr<Controller> controller;
  std::unique_ptr<Server> server;
  std::unique_ptr<ctl::Client> client;

  RpcDaemon() {
    FLAGS_minloglevel = google::GLOG_FATAL;
    auto started = Controller::Start(folder / "shunt.yaml", dataplane, next_hops);
    REQUIRE(started);
    controller = std::move(*started);
    auto serving = Serve(socket);
    REQUIRE(serving);
    server = std::move(*serving);
    auto connected = ctl::Client::Connect(socket);
    REQUIRE(connected);
    client = std::move(*connected);
  }

  Result<std::unique_ptr<Server>> Serve(const std::string& path, ServerOptions options = {}) {
    auto opened = ApiSocket::Open(path);
    if (!opened) return std::unexpected(opened.error());
    return Server::Start(std::move(*opened), std::move(options), *controller, dataplane);
  }

  void AddVipWithReals() {
    v1::VipRequest vip;
    vip.mutable_vip()->set_vip(kRpcVip);
    vip.mutable_vip()->set_ring_size(13);
    vip.mutable_vip()->set_tracking(v1::TRACKING_ALL);
    vip.mutable_vip()->add_reals()->set_address("10.0.0.11");
    REQUIRE(client->AddVip(vip));
    v1::RealRequest real;
    real.set_vip(kRpcVip);
    real.mutable_real()->set_address("2001:db8::12");  // for which there is no source: no next hop
    real.mutable_real()->set_weight(0);
    REQUIRE(client->AddReal(real));
  }

  void SendFirstPacket(const char* source) {
    const Endpoint to = *Endpoint::Parse("203.0.113.10:443");
    REQUIRE(dataplane.RunFrame(FirstFrame(*Endpoint::Parse(source), to, Protocol::kTcp), 1));
  }
};

inline bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace shunt::testing

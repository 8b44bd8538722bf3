// SPDX-License-Identifier: Apache-2.0
// The daemon as shuntctl's verbs see it: one call each, errors as values. gRPC stays in client.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "userspace/base/result.h"
#include "userspace/rpc/shunt.pb.h"

namespace grpc {
class ChannelCredentials;
}

namespace shunt::ctl {

// Events as they happen. One thread reads; any may cancel.
class EventStream {
 public:
  ~EventStream();  // cancels
  // Waits for the next one; nothing: cancelled. An error: the daemon refused, or went away.
  Result<std::optional<v1::Event>> Next();
  void Cancel();

 private:
  friend class Client;
  struct Impl;
  explicit EventStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A daemon that listens on TCP, and the PEM files for talking to it.
struct TlsTarget {
  std::string address;      // 192.0.2.1:9870, lb1.example.net:9870
  std::string ca;           // authority of the daemon's certificate
  std::string certificate;  // ours
  std::string key;
};

class Client {
 public:
  // Fails if the files cannot be read or nobody answers there.
  static Result<std::unique_ptr<Client>> ConnectTls(const TlsTarget& target);
  // Fails if nobody answers on the socket, with the remedy.
  static Result<std::unique_ptr<Client>> Connect(const std::string& socket_path);
  ~Client();

  Result<v1::ChangeReply> Apply(const v1::ApplyRequest& request);
  Result<v1::ChangeReply> AddVip(const v1::VipRequest& request);
  Result<v1::ChangeReply> SetVip(const v1::VipRequest& request);
  Result<v1::ChangeReply> RemoveVip(const v1::RemoveVipRequest& request);
  Result<v1::ChangeReply> AddReal(const v1::RealRequest& request);
  Result<v1::ChangeReply> SetReal(const v1::RealRequest& request);
  Result<v1::ChangeReply> RemoveReal(const v1::RemoveRealRequest& request);
  Result<v1::ChangeReply> SetHost(const v1::HostRequest& request);
  Result<v1::ChangeReply> Reload();
  Result<v1::ChangeReply> Rollback(const v1::RollbackRequest& request);
  Result<v1::ConfirmReply> Confirm();
  Result<v1::Generations> ListGenerations(const v1::ListGenerationsRequest& request);
  Result<v1::Differences> DiffGenerations(const v1::DiffGenerationsRequest& request);
  Result<v1::Config> GetConfig();
  Result<v1::State> GetState();
  Result<v1::Verdicts> GetVerdicts();
  Result<v1::Flows> ListFlows(const v1::ListFlowsRequest& request);
  Result<v1::Explanation> Explain(const v1::ExplainRequest& request);
  Result<v1::Announcements> GetAnnouncements();
  Result<v1::Digests> GetDigests();
  Result<v1::HealthState> GetHealth(const v1::GetHealthRequest& request);
  Result<v1::Events> ListEvents(const v1::EventsRequest& request);
  // Returns at once. The client outlives the stream.
  std::unique_ptr<EventStream> WatchEvents(const v1::EventsRequest& request);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  // `where`: for messages; `target`: as gRPC names it.
  static Result<std::unique_ptr<Client>> Make(const std::string& where, const std::string& target,
                                              const std::shared_ptr<grpc::ChannelCredentials>& credentials);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
// The handlers of the API: convert, call, convert. They run on gRPC's threads; changes wait for the controller's.
// Not here: the socket (server.h), what an edit does (edit.h).
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "userspace/control/controller.h"
#include "userspace/rpc/shunt.grpc.pb.h"

namespace shunt {

inline constexpr int kMaxWatchers = 64;  // readers of WatchEvents at once; each holds a thread

class ShuntService final : public v1::Shunt::Service {
 public:
  // How a caller is named in the history, e.g. "uid 0"; empty: not known.
  using NameCaller = std::function<std::string(const grpc::ServerContext&)>;

  // Both outlive the service.
  ShuntService(Controller& controller, Dataplane& dataplane, NameCaller name_caller = nullptr)
      : controller_(controller), dataplane_(dataplane), name_caller_(std::move(name_caller)) {}

  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ChangeReply* reply) override;
  grpc::Status AddVip(grpc::ServerContext*, const v1::VipRequest* request, v1::ChangeReply* reply) override;
  grpc::Status SetVip(grpc::ServerContext*, const v1::VipRequest* request, v1::ChangeReply* reply) override;
  grpc::Status RemoveVip(grpc::ServerContext*, const v1::RemoveVipRequest* request, v1::ChangeReply* reply) override;
  grpc::Status AddReal(grpc::ServerContext*, const v1::RealRequest* request, v1::ChangeReply* reply) override;
  grpc::Status SetReal(grpc::ServerContext*, const v1::RealRequest* request, v1::ChangeReply* reply) override;
  grpc::Status RemoveReal(grpc::ServerContext*, const v1::RemoveRealRequest* request, v1::ChangeReply* reply) override;
  grpc::Status SetHost(grpc::ServerContext*, const v1::HostRequest* request, v1::ChangeReply* reply) override;
  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest* request, v1::ChangeReply* reply) override;
  grpc::Status Rollback(grpc::ServerContext*, const v1::RollbackRequest* request, v1::ChangeReply* reply) override;
  grpc::Status Confirm(grpc::ServerContext*, const v1::ConfirmRequest* request, v1::ConfirmReply* reply) override;
  grpc::Status ListGenerations(grpc::ServerContext*, const v1::ListGenerationsRequest* request,
                               v1::Generations* reply) override;
  grpc::Status DiffGenerations(grpc::ServerContext*, const v1::DiffGenerationsRequest* request,
                               v1::Differences* reply) override;
  grpc::Status GetConfig(grpc::ServerContext*, const v1::GetConfigRequest* request, v1::Config* reply) override;
  grpc::Status GetState(grpc::ServerContext*, const v1::GetStateRequest* request, v1::State* reply) override;
  grpc::Status GetVerdicts(grpc::ServerContext*, const v1::GetVerdictsRequest* request, v1::Verdicts* reply) override;
  grpc::Status ListFlows(grpc::ServerContext*, const v1::ListFlowsRequest* request, v1::Flows* reply) override;
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest* request, v1::Explanation* reply) override;
  grpc::Status GetAnnouncements(grpc::ServerContext*, const v1::GetAnnouncementsRequest* request,
                                v1::Announcements* reply) override;
  grpc::Status GetDigests(grpc::ServerContext*, const v1::GetDigestsRequest* request, v1::Digests* reply) override;
  grpc::Status GetHealth(grpc::ServerContext*, const v1::GetHealthRequest* request, v1::HealthState* reply) override;
  grpc::Status ListEvents(grpc::ServerContext*, const v1::EventsRequest* request, v1::Events* reply) override;
  // Ends when the reader does, or when the event log is closed.
  grpc::Status WatchEvents(grpc::ServerContext* context, const v1::EventsRequest* request,
                           grpc::ServerWriter<v1::Event>* writer) override;

 private:
  ChangeTerms Terms(std::string by, const grpc::ServerContext* context) const;

  Controller& controller_;
  Dataplane& dataplane_;
  const NameCaller name_caller_;
  std::atomic<int> watchers_ = 0;
};

}  // namespace shunt

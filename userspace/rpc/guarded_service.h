// SPDX-License-Identifier: Apache-2.0
// The API as a caller sees it who may not do everything: reads are for all who can connect, changes for those the judge
// lets through. A call that is not named here is not answered at all. Called by gRPC's threads. Not here: what the
// calls do (service.h).
#pragma once

#include <functional>
#include <utility>

#include "userspace/rpc/service.h"

namespace shunt {

class GuardedService final : public v1::Shunt::Service {
 public:
  // OK, or why this caller may not change things.
  using Judge = std::function<grpc::Status(const grpc::ServerContext&)>;

  // `service` outlives this.
  GuardedService(ShuntService& service, Judge may_change) : service_(service), may_change_(std::move(may_change)) {}

  grpc::Status Apply(grpc::ServerContext* context, const v1::ApplyRequest* request, v1::ChangeReply* reply) override;
  grpc::Status AddVip(grpc::ServerContext* context, const v1::VipRequest* request, v1::ChangeReply* reply) override;
  grpc::Status SetVip(grpc::ServerContext* context, const v1::VipRequest* request, v1::ChangeReply* reply) override;
  grpc::Status RemoveVip(grpc::ServerContext* context, const v1::RemoveVipRequest* request,
                         v1::ChangeReply* reply) override;
  grpc::Status AddReal(grpc::ServerContext* context, const v1::RealRequest* request, v1::ChangeReply* reply) override;
  grpc::Status SetReal(grpc::ServerContext* context, const v1::RealRequest* request, v1::ChangeReply* reply) override;
  grpc::Status RemoveReal(grpc::ServerContext* context, const v1::RemoveRealRequest* request,
                          v1::ChangeReply* reply) override;

  grpc::Status SetHost(grpc::ServerContext* context, const v1::HostRequest* request, v1::ChangeReply* reply) override;
  grpc::Status Reload(grpc::ServerContext* context, const v1::ReloadRequest* request, v1::ChangeReply* reply) override;
  grpc::Status Rollback(grpc::ServerContext* context, const v1::RollbackRequest* request,
                        v1::ChangeReply* reply) override;
  grpc::Status Confirm(grpc::ServerContext* context, const v1::ConfirmRequest* request,
                       v1::ConfirmReply* reply) override;

  grpc::Status ListGenerations(grpc::ServerContext* context, const v1::ListGenerationsRequest* request,
                               v1::Generations* reply) override;
  grpc::Status DiffGenerations(grpc::ServerContext* context, const v1::DiffGenerationsRequest* request,
                               v1::Differences* reply) override;
  // Without the hash key for those who may only read: who knows it can make all flows go to one real.
  grpc::Status GetConfig(grpc::ServerContext* context, const v1::GetConfigRequest* request, v1::Config* reply) override;
  grpc::Status GetState(grpc::ServerContext* context, const v1::GetStateRequest* request, v1::State* reply) override;
  grpc::Status GetVerdicts(grpc::ServerContext* context, const v1::GetVerdictsRequest* request,
                           v1::Verdicts* reply) override;
  grpc::Status ListFlows(grpc::ServerContext* context, const v1::ListFlowsRequest* request, v1::Flows* reply) override;
  grpc::Status Explain(grpc::ServerContext* context, const v1::ExplainRequest* request,
                       v1::Explanation* reply) override;
  grpc::Status GetAnnouncements(grpc::ServerContext* context, const v1::GetAnnouncementsRequest* request,
                                v1::Announcements* reply) override;
  grpc::Status GetDigests(grpc::ServerContext* context, const v1::GetDigestsRequest* request,
                          v1::Digests* reply) override;
  grpc::Status GetHealth(grpc::ServerContext* context, const v1::GetHealthRequest* request,
                         v1::HealthState* reply) override;
  grpc::Status ListEvents(grpc::ServerContext* context, const v1::EventsRequest* request, v1::Events* reply) override;
  grpc::Status WatchEvents(grpc::ServerContext* context, const v1::EventsRequest* request,
                           grpc::ServerWriter<v1::Event>* writer) override;

 private:
  // For who may change things.
  template <class Request, class Reply>
  grpc::Status Change(grpc::Status (ShuntService::*call)(grpc::ServerContext*, const Request*, Reply*),
                      grpc::ServerContext* context, const Request* request, Reply* reply) {
    const grpc::Status allowed = may_change_(*context);
    return allowed.ok() ? (service_.*call)(context, request, reply) : allowed;
  }

  ShuntService& service_;
  const Judge may_change_;
};

}  // namespace shunt

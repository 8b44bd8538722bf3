// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/guarded_service.h"

namespace shunt {

using grpc::ServerContext;

// ---- changes

grpc::Status GuardedService::Apply(ServerContext* context, const v1::ApplyRequest* request, v1::ChangeReply* reply) {
  return Change(&ShuntService::Apply, context, request, reply);
}

grpc::Status GuardedService::AddVip(ServerContext* context, const v1::VipRequest* request, v1::ChangeReply* reply) {
  return Change(&ShuntService::AddVip, context, request, reply);
}

grpc::Status GuardedService::SetVip(ServerContext* context, const v1::VipRequest* request, v1::ChangeReply* reply) {
  return Change(&ShuntService::SetVip, context, request, reply);
}

grpc::Status GuardedService::RemoveVip(ServerContext* context, const v1::RemoveVipRequest* request,
                                       v1::ChangeReply* reply) {
  return Change(&ShuntService::RemoveVip, context, request, reply);
}

grpc::Status GuardedService::AddReal(ServerContext* context, const v1::RealRequest* request, v1::ChangeReply* reply) {
  return Change(&ShuntService::AddReal, context, request, reply);
}

grpc::Status GuardedService::SetReal(ServerContext* context, const v1::RealRequest* request, v1::ChangeReply* reply) {
  return Change(&ShuntService::SetReal, context, request, reply);
}

grpc::Status GuardedService::RemoveReal(ServerContext* context, const v1::RemoveRealRequest* request,
                                        v1::ChangeReply* reply) {
  return Change(&ShuntService::RemoveReal, context, request, reply);
}

grpc::Status GuardedService::SetHost(ServerContext* context, const v1::HostRequest* request, v1::ChangeReply* reply) {
  return Change(&ShuntService::SetHost, context, request, reply);
}

grpc::Status GuardedService::Reload(ServerContext* context, const v1::ReloadRequest* request, v1::ChangeReply* reply) {
  return Change(&ShuntService::Reload, context, request, reply);
}

grpc::Status GuardedService::Rollback(ServerContext* context, const v1::RollbackRequest* request,
                                      v1::ChangeReply* reply) {
  return Change(&ShuntService::Rollback, context, request, reply);
}

grpc::Status GuardedService::Confirm(ServerContext* context, const v1::ConfirmRequest* request,
                                     v1::ConfirmReply* reply) {
  return Change(&ShuntService::Confirm, context, request, reply);
}

// ---- reads

grpc::Status GuardedService::ListGenerations(ServerContext* context, const v1::ListGenerationsRequest* request,
                                             v1::Generations* reply) {
  return service_.ListGenerations(context, request, reply);
}

grpc::Status GuardedService::DiffGenerations(ServerContext* context, const v1::DiffGenerationsRequest* request,
                                             v1::Differences* reply) {
  return service_.DiffGenerations(context, request, reply);
}

grpc::Status GuardedService::GetConfig(ServerContext* context, const v1::GetConfigRequest* request, v1::Config* reply) {
  grpc::Status status = service_.GetConfig(context, request, reply);
  if (!may_change_(*context).ok()) reply->clear_hash_key();
  return status;
}

grpc::Status GuardedService::GetState(ServerContext* context, const v1::GetStateRequest* request, v1::State* reply) {
  return service_.GetState(context, request, reply);
}

grpc::Status GuardedService::GetVerdicts(ServerContext* context, const v1::GetVerdictsRequest* request,
                                         v1::Verdicts* reply) {
  return service_.GetVerdicts(context, request, reply);
}

grpc::Status GuardedService::ListFlows(ServerContext* context, const v1::ListFlowsRequest* request, v1::Flows* reply) {
  return service_.ListFlows(context, request, reply);
}

grpc::Status GuardedService::Explain(ServerContext* context, const v1::ExplainRequest* request,
                                     v1::Explanation* reply) {
  return service_.Explain(context, request, reply);
}

grpc::Status GuardedService::GetAnnouncements(ServerContext* context, const v1::GetAnnouncementsRequest* request,
                                              v1::Announcements* reply) {
  return service_.GetAnnouncements(context, request, reply);
}

grpc::Status GuardedService::GetDigests(ServerContext* context, const v1::GetDigestsRequest* request,
                                        v1::Digests* reply) {
  return service_.GetDigests(context, request, reply);
}

grpc::Status GuardedService::GetHealth(ServerContext* context, const v1::GetHealthRequest* request,
                                       v1::HealthState* reply) {
  return service_.GetHealth(context, request, reply);
}

grpc::Status GuardedService::ListEvents(ServerContext* context, const v1::EventsRequest* request, v1::Events* reply) {
  return service_.ListEvents(context, request, reply);
}

grpc::Status GuardedService::WatchEvents(ServerContext* context, const v1::EventsRequest* request,
                                         grpc::ServerWriter<v1::Event>* writer) {
  return service_.WatchEvents(context, request, writer);
}

}  // namespace shunt

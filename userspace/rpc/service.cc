// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "userspace/model/config_proto.h"
#include "userspace/rpc/convert.h"
#include "userspace/rpc/edit.h"
#include "userspace/rpc/explain.h"

namespace shunt {
namespace {

constexpr uint32_t kDefaultFlowLimit = 1000;
constexpr uint32_t kMaxFlowLimit = 1000000;

grpc::Status Answer(const Result<ChangeReport>& result, v1::ChangeReply* reply) {
  if (!result) return ToGrpc(result.error());
  *reply = ToReply(*result);
  return grpc::Status::OK;
}

// At most `limit` entries, a stretch of the table at a time, so that few flows cost no copy of a large table.
Result<std::vector<FlowEntry>> ReadFlowTable(Dataplane& dataplane, size_t limit) {
  constexpr uint64_t kStretchPlaces = 65536;
  std::vector<FlowEntry> flows;
  const uint64_t places = dataplane.flow_places();
  for (uint64_t first = 0; first < places && flows.size() < limit; first += kStretchPlaces) {
    const auto stretch = dataplane.ReadFlowEntries(first, std::min(kStretchPlaces, places - first));
    if (!stretch) return std::unexpected(stretch.error());
    flows.insert(flows.end(), stretch->begin(), stretch->end());
  }
  flows.resize(std::min(flows.size(), limit));
  return flows;
}

}  // namespace

grpc::Status ShuntService::Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ChangeReply* reply) {
  const auto wanted = DesiredStateOf(request->config());
  if (!wanted) return ToGrpc(wanted.error());
  return Answer(controller_.Apply(*wanted, request->dry_run()), reply);
}

grpc::Status ShuntService::AddVip(grpc::ServerContext*, const v1::VipRequest* request, v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::AddVip(state, request->vip()); }), reply);
}

grpc::Status ShuntService::SetVip(grpc::ServerContext*, const v1::VipRequest* request, v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::SetVip(state, request->vip()); }), reply);
}

grpc::Status ShuntService::RemoveVip(grpc::ServerContext*, const v1::RemoveVipRequest* request,
                                     v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::RemoveVip(state, request->vip()); }), reply);
}

grpc::Status ShuntService::AddReal(grpc::ServerContext*, const v1::RealRequest* request, v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::AddReal(state, *request); }), reply);
}

grpc::Status ShuntService::SetReal(grpc::ServerContext*, const v1::RealRequest* request, v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::SetReal(state, *request); }), reply);
}

grpc::Status ShuntService::RemoveReal(grpc::ServerContext*, const v1::RemoveRealRequest* request,
                                      v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::RemoveReal(state, *request); }), reply);
}

grpc::Status ShuntService::GetConfig(grpc::ServerContext*, const v1::GetConfigRequest*, v1::Config* reply) {
  *reply = ToProto(controller_.snapshot()->desired);
  return grpc::Status::OK;
}

grpc::Status ShuntService::GetState(grpc::ServerContext*, const v1::GetStateRequest*, v1::State* reply) {
  const auto snapshot = controller_.snapshot();
  const auto counters = ReadCounters(dataplane_, snapshot->plan);
  if (!counters) return ToGrpc(counters.error());
  *reply = ToState(*snapshot, dataplane_.capacities(), *counters);
  return grpc::Status::OK;
}

grpc::Status ShuntService::GetVerdicts(grpc::ServerContext*, const v1::GetVerdictsRequest*, v1::Verdicts* reply) {
  const auto counts = dataplane_.ReadVerdicts();
  if (!counts) return ToGrpc(counts.error());
  *reply = ToVerdicts(*counts);
  return grpc::Status::OK;
}

grpc::Status ShuntService::ListFlows(grpc::ServerContext*, const v1::ListFlowsRequest* request, v1::Flows* reply) {
  const uint32_t limit = request->limit() == 0 ? kDefaultFlowLimit : request->limit();
  if (limit > kMaxFlowLimit) {
    return ToGrpc({ErrorKind::kInvalid, fmt::format("limit {}: at most {}", limit, kMaxFlowLimit)});
  }
  // One more than asked for tells whether there are more.
  const auto flows = ReadFlowTable(dataplane_, size_t{limit} + 1);
  if (!flows) return ToGrpc(flows.error());
  *reply = ToFlows(controller_.snapshot()->plan, *flows, limit);
  return grpc::Status::OK;
}

grpc::Status ShuntService::Explain(grpc::ServerContext*, const v1::ExplainRequest* request, v1::Explanation* reply) {
  auto explanation = shunt::Explain(*controller_.snapshot(), dataplane_, *request);
  if (!explanation) return ToGrpc(explanation.error());
  *reply = std::move(*explanation);
  return grpc::Status::OK;
}

}  // namespace shunt

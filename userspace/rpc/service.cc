// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "userspace/model/config_proto.h"
#include "userspace/model/diff.h"
#include "userspace/rpc/announce_convert.h"
#include "userspace/rpc/convert.h"
#include "userspace/rpc/edit.h"
#include "userspace/rpc/event_reader.h"
#include "userspace/rpc/explain.h"
#include "userspace/rpc/health_convert.h"
#include "userspace/rpc/history_convert.h"

namespace shunt {
namespace {

constexpr uint32_t kDefaultFlowLimit = 1000;
constexpr uint32_t kMaxFlowLimit = 1000000;
constexpr std::chrono::milliseconds kWatchPatience{250};  // within it a watcher that was cancelled ends

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

// One of a bounded number; ok() or there were too many.
class Admission {
 public:
  Admission(std::atomic<int>& admitted, int max) : admitted_(admitted), ok_(admitted_.fetch_add(1) < max) {}
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  ~Admission() { --admitted_; }
  bool ok() const { return ok_; }

 private:
  std::atomic<int>& admitted_;
  const bool ok_;
};

}  // namespace

// The context is null where no connection leads here (tests).
ChangeTerms ShuntService::Terms(std::string by, const grpc::ServerContext* context) const {
  const std::string caller = name_caller_ && context != nullptr ? name_caller_(*context) : "";
  return {.by = caller.empty() ? std::move(by) : fmt::format("{} ({})", by, caller)};
}

grpc::Status ShuntService::Apply(grpc::ServerContext* context, const v1::ApplyRequest* request,
                                 v1::ChangeReply* reply) {
  const auto wanted = DesiredStateOf(request->config());
  if (!wanted) return ToGrpc(wanted.error());
  ChangeTerms terms = Terms("apply", context);
  terms.confirm_within = ConfirmWithin(request->confirm_seconds());
  return Answer(controller_.Apply(*wanted, request->dry_run(), terms), reply);
}

grpc::Status ShuntService::AddVip(grpc::ServerContext* context, const v1::VipRequest* request, v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::AddVip(state, request->vip()); }, false,
                                 Terms("vip add", context)),
                reply);
}

grpc::Status ShuntService::SetVip(grpc::ServerContext* context, const v1::VipRequest* request, v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::SetVip(state, request->vip()); }, false,
                                 Terms("vip set", context)),
                reply);
}

grpc::Status ShuntService::RemoveVip(grpc::ServerContext* context, const v1::RemoveVipRequest* request,
                                     v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::RemoveVip(state, request->vip()); }, false,
                                 Terms("vip rm", context)),
                reply);
}

grpc::Status ShuntService::AddReal(grpc::ServerContext* context, const v1::RealRequest* request,
                                   v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::AddReal(state, *request); }, false,
                                 Terms("real add", context)),
                reply);
}

grpc::Status ShuntService::SetReal(grpc::ServerContext* context, const v1::RealRequest* request,
                                   v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::SetReal(state, *request); }, false,
                                 Terms("real set", context)),
                reply);
}

grpc::Status ShuntService::RemoveReal(grpc::ServerContext* context, const v1::RemoveRealRequest* request,
                                      v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::RemoveReal(state, *request); }, false,
                                 Terms("real rm", context)),
                reply);
}

grpc::Status ShuntService::Reload(grpc::ServerContext* context, const v1::ReloadRequest*, v1::ChangeReply* reply) {
  return Answer(controller_.Reload(Terms("reload", context)), reply);
}

grpc::Status ShuntService::Rollback(grpc::ServerContext* context, const v1::RollbackRequest* request,
                                    v1::ChangeReply* reply) {
  ChangeTerms terms = Terms(fmt::format("rollback {}", request->generation()), context);
  terms.confirm_within = ConfirmWithin(request->confirm_seconds());
  return Answer(controller_.Rollback(request->generation(), request->dry_run(), std::move(terms)), reply);
}

grpc::Status ShuntService::Confirm(grpc::ServerContext*, const v1::ConfirmRequest*, v1::ConfirmReply* reply) {
  const auto generation = controller_.Confirm();
  if (!generation) return ToGrpc(generation.error());
  reply->set_generation(*generation);
  return grpc::Status::OK;
}

grpc::Status ShuntService::ListGenerations(grpc::ServerContext*, const v1::ListGenerationsRequest* request,
                                           v1::Generations* reply) {
  const auto generations = controller_.ListGenerations();
  if (!generations) return ToGrpc(generations.error());
  *reply =
      ToGenerations(*generations, request->limit(), *controller_.snapshot()->store, std::chrono::steady_clock::now());
  return grpc::Status::OK;
}

grpc::Status ShuntService::DiffGenerations(grpc::ServerContext*, const v1::DiffGenerationsRequest* request,
                                           v1::Differences* reply) {
  const uint64_t to = request->to() == 0 ? controller_.snapshot()->store->generation : request->to();
  const auto before = controller_.LoadGeneration(request->from());
  if (!before) return ToGrpc(before.error());
  const auto after = controller_.LoadGeneration(to);
  if (!after) return ToGrpc(after.error());
  reply->set_from(request->from());
  reply->set_to(to);
  for (std::string& change : Diff(*before, *after)) reply->add_changes(std::move(change));
  return grpc::Status::OK;
}

grpc::Status ShuntService::SetHost(grpc::ServerContext*, const v1::HostRequest* request, v1::ChangeReply* reply) {
  return Answer(controller_.Edit([&](DesiredState& state) { return shunt::SetHost(state, request->host()); }), reply);
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
  AddInterfaces(controller_.interfaces(), *reply);
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

grpc::Status ShuntService::GetAnnouncements(grpc::ServerContext*, const v1::GetAnnouncementsRequest*,
                                            v1::Announcements* reply) {
  *reply = ToAnnouncements(*controller_.announcements(), controller_.snapshot()->host);
  return grpc::Status::OK;
}

grpc::Status ShuntService::GetDigests(grpc::ServerContext*, const v1::GetDigestsRequest*, v1::Digests* reply) {
  const auto snapshot = controller_.snapshot();
  *reply = ToDigests(*snapshot, controller_.DigestsOf(*snapshot));
  return grpc::Status::OK;
}

grpc::Status ShuntService::GetHealth(grpc::ServerContext*, const v1::GetHealthRequest* request,
                                     v1::HealthState* reply) {
  const auto snapshot = controller_.snapshot();
  std::optional<VipKey> only;
  if (!request->vip().empty()) {
    const auto key = VipKey::Parse(request->vip());
    if (!key) return ToGrpc(key.error());
    if (!snapshot->desired.vips.contains(*key)) {
      return ToGrpc(
          {ErrorKind::kNotFound, fmt::format("no VIP {}; what there is: shuntctl vip list", key->ToString())});
    }
    only = *key;
  }
  *reply = ToHealth(*snapshot, *controller_.health(), only);
  return grpc::Status::OK;
}

grpc::Status ShuntService::ListEvents(grpc::ServerContext*, const v1::EventsRequest* request, v1::Events* reply) {
  const auto filter = FilterOf(*request);
  if (!filter) return ToGrpc(filter.error());
  for (v1::Event& event : KeptEvents(controller_.events(), *filter, request->after_id(), request->limit())) {
    *reply->add_events() = std::move(event);
  }
  return grpc::Status::OK;
}

grpc::Status ShuntService::WatchEvents(grpc::ServerContext* context, const v1::EventsRequest* request,
                                       grpc::ServerWriter<v1::Event>* writer) {
  const auto filter = FilterOf(*request);
  if (!filter) return ToGrpc(filter.error());
  const Admission admission(watchers_, kMaxWatchers);
  if (!admission.ok()) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            fmt::format("watching events: {} readers watch already; end one of them, or read what is kept without "
                        "following (shuntctl events)",
                        kMaxWatchers)};
  }
  const EventLog& log = controller_.events();
  EventReader reader(log, *filter, *request);
  writer->SendInitialMetadata();  // tells the reader that from now on it gets everything
  for (;;) {
    const bool closed = log.closed();  // asked before reading, so that the last events are still sent
    for (const v1::Event& event : reader.Next(kWatchPatience)) {
      if (!writer->Write(event)) return grpc::Status::CANCELLED;
    }
    if (closed) return {grpc::StatusCode::UNAVAILABLE, "shuntd is stopping"};
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
  }
}

}  // namespace shunt

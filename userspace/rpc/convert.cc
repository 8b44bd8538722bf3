// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/convert.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "userspace/dataplane/verdict.h"
#include "userspace/model/config_proto.h"
#include "userspace/rpc/health_convert.h"
#include "userspace/rpc/history_convert.h"

namespace shunt {
namespace {

struct KindAndCode {
  ErrorKind kind;
  grpc::StatusCode code;
};
constexpr KindAndCode kCodes[] = {
    {ErrorKind::kInvalid, grpc::StatusCode::INVALID_ARGUMENT},
    {ErrorKind::kNotFound, grpc::StatusCode::NOT_FOUND},
    {ErrorKind::kExists, grpc::StatusCode::ALREADY_EXISTS},
    {ErrorKind::kSystem, grpc::StatusCode::INTERNAL},
};

std::string CutAtLine(const std::string& message) {
  if (message.size() <= kMaxErrorBytes) return message;
  size_t end = message.rfind('\n', kMaxErrorBytes);
  if (end == std::string::npos) end = kMaxErrorBytes;
  const auto rest = std::count(message.begin() + static_cast<std::ptrdiff_t>(end), message.end(), '\n');
  return fmt::format("{}\n... and {} more lines", message.substr(0, end), std::max<std::ptrdiff_t>(rest, 1));
}

// Interface names by index; looked up once each, because a state has many reals behind few interfaces.
class InterfaceNames {
 public:
  const std::string& Of(uint32_t index) {
    const auto [it, is_new] = names_.try_emplace(index);
    if (is_new) {
      char name[IF_NAMESIZE] = "";
      it->second = if_indextoname(index, name) ? name : fmt::format("interface-{}", index);
    }
    return it->second;
  }

 private:
  std::map<uint32_t, std::string> names_;
};

void FillTraffic(const Traffic& traffic, bool tells_new_flows, v1::Traffic& out) {
  out.set_packets(traffic.packets);
  out.set_bytes(traffic.bytes);
  if (tells_new_flows) out.set_new_flows(traffic.new_flows);
}

void FillActivity(const Activity& activity, bool tells_new_flows, v1::Activity& out) {
  out.set_flows(activity.flows);
  if (tells_new_flows) out.set_new_flows_per_second(activity.new_flows_per_second);
}

void FillSettings(const VipSettings& settings, bool quic, v1::VipState& out) {
  out.set_tracking(TrackingToProto(settings.tracking));
  out.set_ring_size(settings.ring_size);
  out.set_outer_ttl(settings.outer_ttl);
  out.set_udp_idle_seconds(settings.udp_idle_seconds);
  out.set_tcp_settle_seconds(settings.tcp_settle_seconds);
  out.set_quic(quic);
}

void FillObserved(const Observation& observed, const VipKey& key, const VipEntry& vip, v1::VipState& out) {
  if (const auto slots = observed.slots.find(key); slots != observed.slots.end()) {
    const SlotProgress& progress = slots->second;
    v1::Settling& settling = *out.mutable_settling();
    settling.set_stable_slots(progress.stable);
    settling.set_moving_slots(progress.moving);
    settling.set_slots_with_exceptions(progress.with_exceptions);
    settling.set_remembered_flows(progress.remembered);
    settling.set_refused_flows(progress.refused);
    if (progress.settles_in) settling.set_settles_in_seconds(static_cast<uint64_t>(progress.settles_in->count()));
  }
  if (const auto activity = observed.activity.find(key); activity != observed.activity.end()) {
    FillActivity(activity->second.vip, TellsNewFlows(key, vip), *out.mutable_activity());
  }
}

std::map<uint16_t, uint32_t> SlotsByReal(const Ring& ring) {
  std::map<uint16_t, uint32_t> slots;
  for (const RingSlot& slot : ring) ++slots[slot.current_real];
  return slots;
}

void FillNextHop(const Snapshot& snapshot, const RealEntry& real, InterfaceNames& names, v1::RealStatus& out) {
  if (real.outer) {
    const NextHop& hop = real.outer->next_hop;
    out.set_next_hop(fmt::format("{} dev {}", hop.gateway_mac.ToString(), names.Of(hop.interface_index)));
    return;
  }
  const auto known = snapshot.next_hops.find(real.address);
  const bool has_problem = known != snapshot.next_hops.end() && !known->second.problem.empty();
  out.set_problem(has_problem ? known->second.problem : "its next hop is not resolved yet");
}

// The weights stand in the order of the reals.
std::map<IpAddress, RealWeight> WeightsByReal(const Snapshot& snapshot, const VipKey& key, const Vip& desired) {
  std::map<IpAddress, RealWeight> by_real;
  const auto found = snapshot.weights.find(key);
  if (found == snapshot.weights.end() || found->second.reals.size() != desired.reals.size()) return by_real;
  size_t position = 0;
  for (const auto& [address, real] : desired.reals) by_real.emplace(address, found->second.reals[position++]);
  return by_real;
}

// In the order of the store: indices tell nobody anything.
void AddReals(const Snapshot& snapshot, const VipKey& key, const PlannedVip& planned, const Vip& desired,
              const VipCounters& counted, InterfaceNames& names, v1::VipState& out) {
  const bool tells_new_flows = TellsNewFlows(key, planned.entry);
  const auto slots = SlotsByReal(*planned.ring);
  const auto activity = snapshot.observed->activity.find(key);
  const auto weights = WeightsByReal(snapshot, key, desired);
  std::map<IpAddress, v1::RealStatus> reals;
  for (const auto& [index, entry] : planned.reals) {
    v1::RealStatus& real = reals[entry.address];
    const auto wanted = desired.reals.find(entry.address);
    const Real settings = wanted == desired.reals.end() ? Real{} : wanted->second;
    real.set_address(entry.address.ToString());
    real.set_weight(settings.weight);
    real.set_state(settings.state == RealState::kDrain ? v1::REAL_STATE_DRAIN : v1::REAL_STATE_ACTIVE);
    const auto share = slots.find(index);
    real.set_slots(share == slots.end() ? 0 : share->second);
    const auto weight = weights.find(entry.address);
    FillHealth(HealthOf(snapshot.liveness, key, entry.address), settings,
               weight == weights.end() ? nullptr : &weight->second, real);
    FillNextHop(snapshot, entry, names, real);
    FillTraffic(counted.reals.at(index), tells_new_flows, *real.mutable_traffic());
    if (activity == snapshot.observed->activity.end()) continue;
    const auto seen = activity->second.reals.find(index);
    if (seen != activity->second.reals.end()) FillActivity(seen->second, tells_new_flows, *real.mutable_activity());
  }
  for (auto& [address, real] : reals) *out.add_reals() = std::move(real);
}

}  // namespace

grpc::Status ToGrpc(const Error& error) {
  const auto* found = std::ranges::find(kCodes, error.kind, &KindAndCode::kind);
  return {found->code, CutAtLine(error.message)};
}

Error FromGrpc(const grpc::Status& status) {
  const auto* found = std::ranges::find(kCodes, status.error_code(), &KindAndCode::code);
  return {found == std::end(kCodes) ? ErrorKind::kSystem : found->kind, status.error_message()};
}

v1::ChangeReply ToReply(const ChangeReport& report) {
  v1::ChangeReply reply;
  for (const std::string& change : report.changes) reply.add_changes(change);
  for (const std::string& warning : report.warnings) reply.add_warnings(warning);
  reply.set_generation(report.generation);
  if (report.confirm_within) {
    reply.mutable_unconfirmed()->set_back_to(report.back_to);
    reply.mutable_unconfirmed()->set_seconds_left(static_cast<uint64_t>(report.confirm_within->count()));
  }
  return reply;
}

v1::State ToState(const Snapshot& snapshot, const Capacities& capacities, const Counters& counters) {
  v1::State state;
  state.set_max_vips(capacities.max_vips);
  state.set_max_reals(capacities.max_reals);
  state.set_max_flows(capacities.max_flows);
  state.set_host(std::string(ToString(snapshot.host)));
  state.set_generation(snapshot.store->generation);
  if (const auto& unconfirmed = snapshot.store->unconfirmed) {
    *state.mutable_unconfirmed() = ToUnconfirmed(*unconfirmed, std::chrono::steady_clock::now());
  }
  InterfaceNames names;
  for (const auto& [key, planned] : snapshot.plan.vips) {
    const auto found = snapshot.desired.vips.find(key);
    const Vip desired = found == snapshot.desired.vips.end() ? Vip{} : found->second;
    v1::VipState& vip = *state.add_vips();
    vip.set_vip(key.ToString());
    FillSettings(EffectiveSettings(snapshot.desired, desired), desired.quic, vip);
    FillHealth(snapshot, key, desired, vip);
    FillObserved(*snapshot.observed, key, planned.entry, vip);
    const VipCounters& counted = counters.at(key);
    FillTraffic(counted.vip, TellsNewFlows(key, planned.entry), *vip.mutable_traffic());
    AddReals(snapshot, key, planned, desired, counted, names, vip);
  }
  return state;
}

void AddInterfaces(const InterfaceReport& report, v1::State& state) {
  for (const InterfaceStatus& status : report) {
    v1::InterfaceState& interface = *state.add_interfaces();
    interface.set_name(status.name);
    interface.set_index(status.index);
    interface.set_attached(status.attached);
    if (status.attached) interface.set_mode(status.native ? "native" : "generic");
    interface.set_problem(status.problem);
  }
}

v1::Verdicts ToVerdicts(std::span<const VerdictCount> counts) {
  v1::Verdicts verdicts;
  for (const VerdictCount& count : counts) {
    const VerdictInfo& info = VerdictOf(count.verdict);
    v1::VerdictCount& verdict = *verdicts.add_verdicts();
    verdict.set_name(std::string(info.name));
    verdict.set_action(std::string(info.action));
    verdict.set_sentence(std::string(info.sentence));
    verdict.set_packets(count.packets);
    verdict.set_bytes(count.bytes);
  }
  return verdicts;
}

v1::Flows ToFlows(const Plan& plan, std::span<const FlowEntry> flows, size_t limit) {
  std::map<uint32_t, std::pair<VipKey, const PlannedVip*>> vips;
  for (const auto& [key, vip] : plan.vips) vips.emplace(vip.entry.id, std::pair(key, &vip));
  v1::Flows out;
  out.set_more(flows.size() > limit);
  for (const FlowEntry& entry : flows.first(std::min(limit, flows.size()))) {
    const RememberedFlow& flow = entry.flow;
    const auto found = vips.find(flow.vip_id);
    if (found == vips.end()) continue;
    const auto& [key, vip] = found->second;
    const auto real = vip->reals.find(flow.real_index);
    if (real == vip->reals.end()) continue;
    v1::Flow& row = *out.add_flows();
    row.set_source(flow.source.ToString());
    row.set_destination(VipKey{key.address, flow.destination_port, key.protocol}.ToString());
    row.set_real(real->second.address.ToString());
    row.set_idle_seconds(entry.idle_seconds);
  }
  return out;
}

}  // namespace shunt

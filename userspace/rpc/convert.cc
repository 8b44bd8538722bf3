// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/convert.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <map>

#include "userspace/dataplane/verdict.h"

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

void FillTraffic(const Traffic& traffic, v1::Traffic& out) {
  out.set_packets(traffic.packets);
  out.set_bytes(traffic.bytes);
  out.set_new_flows(traffic.new_flows);
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
  return reply;
}

CounterIds CountersOf(const Plan& plan) {
  CounterIds ids;
  for (const auto& [key, vip] : plan.vips) {
    ids.vip_ids.push_back(vip.entry.id);
    for (const auto& [index, real] : vip.reals) ids.entries.push_back(vip.entry.real_base + index);
  }
  return ids;
}

v1::State ToState(const Snapshot& snapshot, const Capacities& capacities, const Counters& counters) {
  v1::State state;
  state.set_max_vips(capacities.max_vips);
  state.set_max_reals(capacities.max_reals);
  state.set_max_flows(capacities.max_flows);
  InterfaceNames names;
  size_t vip_number = 0;
  size_t real_number = 0;
  for (const auto& [key, planned] : snapshot.plan.vips) {
    const auto found = snapshot.desired.vips.find(key);
    const Vip desired = found == snapshot.desired.vips.end() ? Vip{} : found->second;
    const VipSettings settings = EffectiveSettings(snapshot.desired, desired);
    v1::VipState& vip = *state.add_vips();
    vip.set_vip(key.ToString());
    vip.set_tracking(settings.tracking == Tracking::kAll ? v1::TRACKING_ALL : v1::TRACKING_NONE);
    vip.set_ring_size(settings.ring_size);
    vip.set_outer_ttl(settings.outer_ttl);
    FillTraffic(counters.vips.at(vip_number++), *vip.mutable_traffic());

    const auto slots = SlotsByReal(*planned.ring);
    std::map<IpAddress, v1::RealStatus> reals;  // indices tell nobody anything: in the order of the store
    for (const auto& [index, entry] : planned.reals) {
      v1::RealStatus& real = reals[entry.address];
      const auto wanted = desired.reals.find(entry.address);
      const Real settings_of_real = wanted == desired.reals.end() ? Real{} : wanted->second;
      real.set_address(entry.address.ToString());
      real.set_weight(settings_of_real.weight);
      real.set_state(settings_of_real.state == RealState::kDrain ? v1::REAL_STATE_DRAIN : v1::REAL_STATE_ACTIVE);
      const auto share = slots.find(index);
      real.set_slots(share == slots.end() ? 0 : share->second);
      FillNextHop(snapshot, entry, names, real);
      FillTraffic(counters.reals.at(real_number++), *real.mutable_traffic());
    }
    for (auto& [address, real] : reals) *vip.add_reals() = std::move(real);
  }
  return state;
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

v1::Flows ToFlows(const Plan& plan, std::span<const RememberedFlow> flows, size_t limit) {
  std::map<uint32_t, std::pair<VipKey, const PlannedVip*>> vips;
  for (const auto& [key, vip] : plan.vips) vips.emplace(vip.entry.id, std::pair(key, &vip));
  v1::Flows out;
  out.set_more(flows.size() > limit);
  for (const RememberedFlow& flow : flows.first(std::min(limit, flows.size()))) {
    const auto found = vips.find(flow.vip_id);
    if (found == vips.end()) continue;
    const auto& [key, vip] = found->second;
    const auto real = vip->reals.find(flow.real_index);
    if (real == vip->reals.end()) continue;
    v1::Flow& row = *out.add_flows();
    row.set_source(flow.source.ToString());
    row.set_destination(VipKey{key.address, flow.destination_port, key.protocol}.ToString());
    row.set_real(real->second.address.ToString());
  }
  return out;
}

}  // namespace shunt

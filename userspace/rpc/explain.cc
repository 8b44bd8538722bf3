// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/explain.h"

#include <fmt/format.h>
#include <net/if.h>

#include <optional>
#include <utility>

#include "userspace/dataplane/packet_model.h"
#include "userspace/dataplane/verdict.h"
#include "userspace/rpc/health_convert.h"

namespace shunt {
namespace {

constexpr uint32_t kNoVlanTags = 0;  // FirstFrame() makes none

struct Flow {
  Endpoint source;
  VipKey destination;
};

Result<Flow> ParseFlow(const v1::ExplainRequest& request) {
  const auto source = Endpoint::Parse(request.source());
  const auto destination = VipKey::Parse(request.destination());
  if (!source && !destination) {
    return Fail(ErrorKind::kInvalid, source.error().message + "\n" + destination.error().message);
  }
  if (!source) return std::unexpected(source.error());
  if (!destination) return std::unexpected(destination.error());
  if (destination->port == 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("destination {}: a packet has one port; write it in place of *", destination->ToString()));
  }
  if (source->address.family() != destination->address.family()) {
    return Fail(ErrorKind::kInvalid, fmt::format("source {} and destination {}: one is IPv4, the other IPv6",
                                                 source->ToString(), destination->ToString()));
  }
  return Flow{*source, *destination};
}

std::string InterfaceName(uint32_t interface_index) {
  char name[IF_NAMESIZE] = "";
  return if_indextoname(interface_index, name) ? name : fmt::format("interface {}", interface_index);
}

// Only the VIPs of one address: a packet meets no others.
DataplaneTables TablesFor(const Plan& plan, const IpAddress& address) {
  Plan part;
  for (const auto& [key, vip] : plan.vips) {
    if (key.address == address) part.vips.emplace(key, vip);
  }
  DataplaneTables tables = TablesOf(part);
  for (const auto& [entry, real] : tables.reals) {
    if (!real.outer) continue;
    const uint32_t index = real.outer->next_hop.interface_index;
    tables.interface_names.try_emplace(index, InterfaceName(index));
  }
  return tables;
}

// What the data plane remembers of the flow, if anything; it lists flows, it does not look one up.
Status AddRememberedFlow(Dataplane& dataplane, const Walk& walk, DataplaneTables& tables) {
  const auto flows = dataplane.ReadFlows(dataplane.capacities().max_flows);
  if (!flows) return std::unexpected(flows.error());
  for (const RememberedFlow& flow : *flows) {
    if (flow.vip_id != walk.vip_id || flow.source != walk.source || flow.destination_port != walk.destination_port) {
      continue;
    }
    tables.flows[{flow.vip_id, flow.source, flow.destination_port}] = {.real_index = flow.real_index};
  }
  return {};
}

// For some seconds after a flow could not be remembered, new ones go elsewhere.
Status AddRefusals(Dataplane& dataplane, const Walk& walk, DataplaneTables& tables) {
  const auto refusals = dataplane.ReadRefusals(std::span(&walk.vip_id, 1));
  if (!refusals) return std::unexpected(refusals.error());
  const Refusals& of_vip = refusals->front();
  if (of_vip.seconds_ago) tables.refusals[walk.vip_id] = {of_vip.count, tables.now_s - *of_vip.seconds_ago};
  return {};
}

// The interface a packet of this walk leaves by; 0 = it does not leave.
uint32_t EgressOf(const DataplaneTables& tables, const Walk& walk) {
  const auto real = tables.reals.find(walk.real_entry);
  if (walk.real_index == 0 || real == tables.reals.end() || !real->second.outer) return 0;
  return real->second.outer->next_hop.interface_index;
}

v1::Explanation Answer(const Snapshot& snapshot, const DataplaneTables& tables, const Walk& walk, uint32_t egress,
                       const std::string& redirect_verdict) {
  v1::Explanation out;
  const auto add_step = [&out](std::string stage, std::string sentence) {
    v1::Step& row = *out.add_steps();
    row.set_stage(std::move(stage));
    row.set_sentence(std::move(sentence));
  };
  for (const WalkStep& step : walk.steps) add_step(step.stage, step.sentence);
  std::optional<IpAddress> chosen;
  const auto real = tables.reals.find(walk.real_entry);
  if (walk.real_index != 0 && real != tables.reals.end()) chosen = real->second.address;
  if (chosen) out.set_real(chosen->ToString());
  if (walk.vip) {
    out.set_vip(walk.vip->ToString());
    std::string sentence = HealthSentence(snapshot, *walk.vip, chosen);
    if (!sentence.empty()) add_step("health", std::move(sentence));
  }
  const VerdictInfo& verdict = VerdictOf(walk.verdict);
  if (verdict.name != redirect_verdict) {
    add_step("finish",
             fmt::format("{} if it came in by {}, else {}", verdict.name, InterfaceName(egress), redirect_verdict));
  }
  out.set_verdict(std::string(verdict.name));
  out.set_action(std::string(verdict.action));
  out.set_sentence(std::string(verdict.sentence));
  return out;
}

}  // namespace

Result<v1::Explanation> Explain(const Snapshot& snapshot, Dataplane& dataplane, const v1::ExplainRequest& request) {
  const auto flow = ParseFlow(request);
  if (!flow) return std::unexpected(flow.error());
  const auto& [source, destination] = *flow;
  DataplaneTables tables = TablesFor(snapshot.plan, destination.address);
  const auto frame = FirstFrame(source, Endpoint{destination.address, destination.port}, destination.protocol);

  Walk walk = WalkFrame(tables, frame, 0, kNoVlanTags, Steps::kOmit);
  if (walk.asks_flow_table) {
    if (const auto status = AddRememberedFlow(dataplane, walk, tables); !status) {
      return std::unexpected(status.error());
    }
    if (const auto status = AddRefusals(dataplane, walk, tables); !status) return std::unexpected(status.error());
    walk = WalkFrame(tables, frame, 0, kNoVlanTags, Steps::kOmit);
  }
  // Where the packet comes in by is not part of the question: taken to be where it leaves by.
  const uint32_t egress = EgressOf(tables, walk);
  const std::string redirect_verdict(VerdictOf(walk.verdict).name);
  walk = WalkFrame(tables, frame, egress, kNoVlanTags);

  return Answer(snapshot, tables, walk, egress, redirect_verdict);
}

}  // namespace shunt

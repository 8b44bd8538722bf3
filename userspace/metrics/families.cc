// SPDX-License-Identifier: Apache-2.0
#include "userspace/metrics/families.h"

#include <cstdint>
#include <utility>

#include "userspace/dataplane/verdict.h"
#include "userspace/metrics/family.h"

namespace shunt {
namespace {

using prometheus::MetricFamily;

// The three counters that VIPs and reals both have.
struct TrafficCounters {
  explicit TrafficCounters(const std::string& what)
      : packets(Counter("shunt_" + what + "_packets_total", "Packets sent to reals.")),
        bytes(Counter("shunt_" + what + "_bytes_total", "Bytes of these packets, from their IP header on.")),
        new_flows(Counter("shunt_" + what + "_new_flows_total",
                          "Flows that began. Absent where packets do not tell: plain UDP, unless tracking is all.")) {}

  void Count(const Labels& labels, const Traffic& traffic, bool tells_new_flows) {
    Add(packets, labels, traffic.packets);
    Add(bytes, labels, traffic.bytes);
    if (tells_new_flows) Add(new_flows, labels, traffic.new_flows);
  }

  void MoveTo(MetricFamilies& families) {
    for (MetricFamily* family : {&packets, &bytes, &new_flows}) families.push_back(std::move(*family));
  }

  MetricFamily packets, bytes, new_flows;
};

}  // namespace

MetricFamilies TrafficFamilies(const Snapshot& snapshot, const Counters& counters) {
  TrafficCounters vips("vip");
  TrafficCounters reals("real");
  for (const auto& [key, planned] : snapshot.plan.vips) {
    const std::string vip = key.ToString();
    const VipCounters& counted = counters.at(key);
    const bool tells_new_flows = TellsNewFlows(key, planned.entry);
    vips.Count({{"vip", vip}}, counted.vip, tells_new_flows);
    for (const auto& [index, real] : planned.reals) {
      reals.Count({{"vip", vip}, {"real", real.address.ToString()}}, counted.reals.at(index), tells_new_flows);
    }
  }
  MetricFamilies families;
  vips.MoveTo(families);
  reals.MoveTo(families);
  return families;
}

MetricFamilies VerdictFamilies(std::span<const VerdictCount> counts) {
  MetricFamily packets = Counter("shunt_verdict_packets_total",
                                 "Packets received, by how they ended; the sum is every packet that was received.");
  for (const VerdictCount& count : counts) {
    const VerdictInfo& verdict = VerdictOf(count.verdict);
    Add(packets, {{"verdict", std::string(verdict.name)}, {"action", std::string(verdict.action)}}, count.packets);
  }
  return {std::move(packets)};
}

MetricFamilies ObservedFamilies(const Snapshot& snapshot) {
  MetricFamily vip_flows = Gauge("shunt_vip_flows", "Different flows of the last 10 to 20 seconds, estimated.");
  MetricFamily real_flows = Gauge("shunt_real_flows", "Different flows of the last 10 to 20 seconds, estimated.");
  MetricFamily slots = Gauge("shunt_vip_slots", "Slots of the ring, by state: stable, moving or with_exceptions.");
  MetricFamily remembered = Gauge("shunt_vip_remembered_flows", "Entries of the flow table.");
  MetricFamily refused =
      Counter("shunt_vip_refused_flows_total", "Flows that should have been remembered and could not be.");
  for (const auto& [key, planned] : snapshot.plan.vips) {
    const std::string vip = key.ToString();
    if (const auto found = snapshot.observed->slots.find(key); found != snapshot.observed->slots.end()) {
      const SlotProgress& progress = found->second;
      Add(slots, {{"vip", vip}, {"state", "stable"}}, uint64_t{progress.stable});
      Add(slots, {{"vip", vip}, {"state", "moving"}}, uint64_t{progress.moving});
      Add(slots, {{"vip", vip}, {"state", "with_exceptions"}}, uint64_t{progress.with_exceptions});
      Add(remembered, {{"vip", vip}}, progress.remembered);
      Add(refused, {{"vip", vip}}, progress.refused);
    }
    const auto found = snapshot.observed->activity.find(key);
    if (found == snapshot.observed->activity.end()) continue;
    Add(vip_flows, {{"vip", vip}}, found->second.vip.flows);
    for (const auto& [index, activity] : found->second.reals) {
      const auto real = planned.reals.find(index);
      if (real == planned.reals.end()) continue;  // gone since
      Add(real_flows, {{"vip", vip}, {"real", real->second.address.ToString()}}, activity.flows);
    }
  }
  MetricFamilies families;
  for (MetricFamily* family : {&vip_flows, &real_flows, &slots, &remembered, &refused}) {
    families.push_back(std::move(*family));
  }
  return families;
}

MetricFamilies HostFamilies(const Snapshot& snapshot, const InterfaceReport& interfaces) {
  MetricFamily host = Gauge("shunt_host_state", "1 for the state that this host is in: serving, draining or leaving.");
  for (const HostPhase phase : {HostPhase::kServing, HostPhase::kDraining, HostPhase::kLeaving}) {
    Add(host, {{"state", std::string(ToString(phase))}}, snapshot.host == phase ? 1.0 : 0.0);
  }
  MetricFamily attached = Gauge("shunt_interface_attached", "1: packets that come in by this interface are balanced.");
  MetricFamily native =
      Gauge("shunt_interface_native", "1: in the driver; 0: in the kernel's stack, slower (generic).");
  for (const InterfaceStatus& interface : interfaces) {
    Add(attached, {{"interface", interface.name}}, interface.attached ? 1.0 : 0.0);
    if (interface.attached) Add(native, {{"interface", interface.name}}, interface.native ? 1.0 : 0.0);
  }
  return {std::move(host), std::move(attached), std::move(native)};
}

MetricFamilies ExporterFamilies(const std::string& version, int read_errors) {
  MetricFamily build = Gauge("shunt_build_info", "Always 1; the version of shuntd is a label.");
  Add(build, {{"version", version}}, 1.0);
  MetricFamily errors = Gauge("shunt_scrape_errors",
                              "Reads of the data plane that failed at this scrape; what they would tell is absent.");
  Add(errors, {}, static_cast<double>(read_errors));
  return {std::move(build), std::move(errors)};
}

}  // namespace shunt

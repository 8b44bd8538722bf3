// SPDX-License-Identifier: Apache-2.0
// What is known of the balancer as Prometheus's metric families: names, labels and help, documented in README.md. Pure.
// Called by exporter.cc at every scrape. Not here: reading the counters, the web server.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "userspace/control/announce_report.h"
#include "userspace/control/counters.h"
#include "userspace/control/digests.h"
#include "userspace/control/health_report.h"
#include "userspace/control/interface_report.h"
#include "userspace/control/writer.h"
#include "userspace/dataplane/dataplane.h"

namespace shunt {

using MetricFamilies = std::vector<prometheus::MetricFamily>;

// `counters` are those of the snapshot's plan.
MetricFamilies TrafficFamilies(const Snapshot& snapshot, const Counters& counters);
MetricFamilies VerdictFamilies(std::span<const VerdictCount> counts);
// What the writer observed: slots, the flow table, flows.
MetricFamilies ObservedFamilies(const Snapshot& snapshot);
// Who is up and what the checks measured, of VIPs that have one; and how often things happened, by kind of event.
MetricFamilies HealthFamilies(const Snapshot& snapshot, const HealthReport& report,
                              const std::map<std::string, uint64_t>& events);
// This host and its interfaces.
MetricFamilies HostFamilies(const Snapshot& snapshot, const InterfaceReport& interfaces);
// What is announced, and of which VIPs; as far as the announcer has published it.
MetricFamilies AnnounceFamilies(const AnnounceReport& report);
MetricFamilies DigestFamilies(const std::map<VipKey, VipDigest>& digests, uint32_t hash_key_id);
// `version` runs, and so many reads of the data plane failed at this scrape.
MetricFamilies ExporterFamilies(const std::string& version, int read_errors);

}  // namespace shunt

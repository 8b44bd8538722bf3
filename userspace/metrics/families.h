// SPDX-License-Identifier: Apache-2.0
// What is known of the balancer as Prometheus's metric families: names, labels and help, documented in README.md. Pure.
// Called by exporter.cc at every scrape. Not here: reading the counters, the web server.
#pragma once

#include <prometheus/metric_family.h>

#include <span>
#include <string>
#include <vector>

#include "userspace/control/counters.h"
#include "userspace/control/writer.h"
#include "userspace/dataplane/dataplane.h"

namespace shunt {

using MetricFamilies = std::vector<prometheus::MetricFamily>;

// `counters` are those of the snapshot's plan.
MetricFamilies TrafficFamilies(const Snapshot& snapshot, const Counters& counters);
MetricFamilies VerdictFamilies(std::span<const VerdictCount> counts);
// What the writer observed: slots, the flow table, flows.
MetricFamilies ObservedFamilies(const Snapshot& snapshot);
// `version` runs, and so many reads of the data plane failed at this scrape.
MetricFamilies ExporterFamilies(const std::string& version, int read_errors);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// Making one of Prometheus's metric families: its kind, and a time series at a time. Pure. Called by *families.cc.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <vector>

namespace shunt {

using Labels = std::vector<prometheus::ClientMetric::Label>;

prometheus::MetricFamily Counter(std::string name, std::string help);
prometheus::MetricFamily Gauge(std::string name, std::string help);
// Values by `quantile`. Not a summary, which wants the sum of all there ever were, too; and not a gauge, for which
// Prometheus allows no such label.
prometheus::MetricFamily Quantiles(std::string name, std::string help);

// Whole up to 2^53, as all that Prometheus stores.
void Add(prometheus::MetricFamily& family, Labels labels, double value);
void Add(prometheus::MetricFamily& family, Labels labels, uint64_t value);

}  // namespace shunt

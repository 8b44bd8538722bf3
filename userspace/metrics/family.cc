// SPDX-License-Identifier: Apache-2.0
#include "userspace/metrics/family.h"

#include <utility>

namespace shunt {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Counter(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Counter, {}};
}

MetricFamily Gauge(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Gauge, {}};
}

MetricFamily Quantiles(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Untyped, {}};
}

void Add(MetricFamily& family, Labels labels, double value) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else if (family.type == MetricType::Gauge) {
    metric.gauge.value = value;
  } else {
    metric.untyped.value = value;
  }
  family.metric.push_back(std::move(metric));
}

void Add(MetricFamily& family, Labels labels, uint64_t value) {
  Add(family, std::move(labels), static_cast<double>(value));
}

}  // namespace shunt

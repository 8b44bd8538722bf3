// SPDX-License-Identifier: Apache-2.0
// A web server: /metrics for Prometheus, and /ready for who steers traffic. Start, stop, and what a scrape reads.
// Started by main; the web server's threads answer. Not here: which metrics there are (families.h), who is ready
// (ready.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "userspace/base/result.h"
#include "userspace/control/controller.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/net/endpoint.h"

namespace shunt {

class Exporter {
 public:
  // Listens on an IPv4 address; port 0 takes a free one. `controller` and `dataplane` outlive the exporter.
  static Result<std::unique_ptr<Exporter>> Start(const Endpoint& listen, const std::string& version,
                                                 Controller& controller, Dataplane& dataplane);
  ~Exporter();

  uint16_t port() const;

 private:
  struct Impl;
  explicit Exporter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

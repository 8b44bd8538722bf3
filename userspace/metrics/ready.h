// SPDX-License-Identifier: Apache-2.0
// GET /ready and GET /ready/VIP: whether traffic should come here, for whatever else than BGP steers it. Pure; called
// by exporter.cc. Not here: how it is decided (bgp/policy.h).
#pragma once

#include <string>
#include <string_view>

#include "userspace/control/announce_report.h"
#include "userspace/control/host_phase.h"

namespace shunt {

struct ReadyAnswer {
  int status = 503;  // of HTTP: 200, 503, or 404: no such VIP
  std::string text;  // a line for each VIP
};

// `path`: what stands behind /ready, "" or "/203.0.113.10:443/tcp", decoded.
ReadyAnswer AnswerReady(std::string_view path, const AnnounceReport& report, HostPhase host);

}  // namespace shunt

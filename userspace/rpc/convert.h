// SPDX-License-Identifier: Apache-2.0
// Our values to API messages and back: errors, state, verdicts, flows. Pure, but for interface names.
// Called by service.cc on gRPC's threads and, for errors, by the client. Not here: the desired state
// (model/config_proto.h).
#pragma once

#include <grpcpp/support/status.h>

#include <cstddef>
#include <span>

#include "userspace/base/result.h"
#include "userspace/control/controller.h"
#include "userspace/control/counters.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {

// A configuration of 100 000 reals takes about 5 MB; a reply of a million IPv6 flows about 140 MB.
inline constexpr int kMaxRequestBytes = 64 << 20;
inline constexpr int kMaxReplyBytes = 256 << 20;
// Errors travel as HTTP/2 metadata, which has a limit of its own: longer ones are cut at a line and say so.
inline constexpr size_t kMaxErrorBytes = 256u << 10;
inline constexpr int kMaxMetadataBytes = 2 << 20;

grpc::Status ToGrpc(const Error& error);
Error FromGrpc(const grpc::Status& status);  // `status` is not OK

v1::ChangeReply ToReply(const ChangeReport& report);

// `counters` are those of the snapshot's plan.
v1::State ToState(const Snapshot& snapshot, const Capacities& capacities, const Counters& counters);

void AddInterfaces(const InterfaceReport& report, v1::State& state);

v1::Verdicts ToVerdicts(std::span<const VerdictCount> counts);

// At most `limit` flows; those of VIPs and reals that `plan` no longer has are left out.
v1::Flows ToFlows(const Plan& plan, std::span<const FlowEntry> flows, size_t limit);

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What would happen to the first packet of a flow, and why: the packet model (dataplane/packet_model.h) on the
// daemon's tables. Called by service.cc on gRPC's threads.
#pragma once

#include "userspace/base/result.h"
#include "userspace/control/controller.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {

// `dataplane` is asked for remembered flows and refusals only.
Result<v1::Explanation> Explain(const Snapshot& snapshot, Dataplane& dataplane, const v1::ExplainRequest& request);

}  // namespace shunt

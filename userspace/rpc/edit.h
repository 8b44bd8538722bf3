// SPDX-License-Identifier: Apache-2.0
// The edits of the API on a desired state: pure, all or nothing, errors that name the remedy. Run by the
// controller on its thread. Not here: whether the edited state as a whole is valid (model/validate.h).
#pragma once

#include "userspace/base/result.h"
#include "userspace/model/desired_state.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt {

Status AddVip(DesiredState& state, const v1::Vip& vip);
Status SetVip(DesiredState& state, const v1::Vip& vip);
Status RemoveVip(DesiredState& state, const std::string& vip);
Status AddReal(DesiredState& state, const v1::RealRequest& request);
Status SetReal(DesiredState& state, const v1::RealRequest& request);
Status RemoveReal(DesiredState& state, const v1::RemoveRealRequest& request);
Status SetHost(DesiredState& state, const v1::Host& host);

// The desired state of an ApplyRequest; every problem of form is a line of the error.
Result<DesiredState> DesiredStateOf(const v1::Config& config);

}  // namespace shunt

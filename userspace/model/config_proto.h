// SPDX-License-Identifier: Apache-2.0
// Config (protobuf) to DesiredState and back. Form only: bad addresses, duplicate names, numbers that do not fit.
#pragma once

#include <vector>

#include "userspace/model/config.pb.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/health_proto.h"
#include "userspace/model/validate.h"

namespace shunt {

// Fills `state` as far as the message allows and returns every problem of form. A problem's path names list
// entries by position, e.g. vips[3].reals[1].address.
std::vector<Problem> FromProto(const v1::Config& config, DesiredState& state);
v1::Config ToProto(const DesiredState& state);
v1::Tracking TrackingToProto(Tracking tracking);

}  // namespace shunt

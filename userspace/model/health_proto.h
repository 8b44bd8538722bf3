// SPDX-License-Identifier: Apache-2.0
// HealthCheck to its message and back. Form only: texts that are no status, no payload; enums of another version.
// Called by config_proto.cc and by rpc/. Not here: what is possible (validate_health.cc).
#pragma once

#include <string>
#include <vector>

#include "userspace/model/config.pb.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/validate.h"

namespace shunt {

// Puts the fields that are present onto `check`; an empty text or list is the default again. What another kind than
// before does not have goes, unless the message has it too. `path` names the check in problems, e.g. vips[3].health.
void FromProto(const v1::HealthCheck& message, const std::string& path, HealthCheck& check,
               std::vector<Problem>& problems);

// Whether the message says that a VIP has no check of its own: a kind that is there, and unspecified.
bool IsDefaultAgain(const v1::HealthCheck& message);

// The kind, and the fields that differ from their defaults.
v1::HealthCheck ToProto(const HealthCheck& check);

v1::CheckKind CheckKindToProto(CheckKind kind);
v1::PanicAction PanicActionToProto(PanicAction action);
// Unset: the default.
std::optional<PanicAction> PanicActionFrom(v1::PanicAction value, const std::string& path,
                                           std::vector<Problem>& problems);

}  // namespace shunt

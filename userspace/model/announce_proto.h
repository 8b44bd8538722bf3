// SPDX-License-Identifier: Apache-2.0
// AnnounceSettings to their message and back. Form only: prefixes that are none, enums of another version. Called by
// config_proto.cc and by rpc/. Not here: what is possible (validate_announce.h).
#pragma once

#include <string>
#include <vector>

#include "userspace/model/announce.h"
#include "userspace/model/config.pb.h"
#include "userspace/model/validate.h"

namespace shunt {

// Puts the fields that are present onto `settings`; an unspecified enum, an empty prefix or a list of communities that
// is one empty text are the default again. `path` names the settings in problems, e.g. vips[3].announce.
void FromProto(const v1::Announce& message, const std::string& path, AnnounceSettings& settings,
               std::vector<Problem>& problems);

v1::Announce ToProto(const AnnounceSettings& settings);

}  // namespace shunt

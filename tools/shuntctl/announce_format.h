// SPDX-License-Identifier: Apache-2.0
// What is announced, for people, for programs, and for a BGP speaker. Pure.
#pragma once

#include <string>

#include "tools/shuntctl/json.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt::ctl {

std::string FormatAnnouncements(const v1::Announcements& announcements, bool colour);
Json ToJson(const v1::Announcements& announcements);

// A piece of configuration with the communities of each prefix: BIRD 2's function shunt_communities(), which a filter
// calls; FRR's route-map SHUNT-COMMUNITIES, which another calls.
std::string BirdFilter(const v1::Announcements& announcements);
std::string FrrFilter(const v1::Announcements& announcements);

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
// The default store with every key explained, for `shuntctl config --defaults`. Pure.
#pragma once

#include <string>

namespace shunt::ctl {

// A valid store without VIPs. Lines that begin with "#:" are keys left out; without "#:" and "[]" it is one too.
std::string DefaultStore();

}  // namespace shunt::ctl

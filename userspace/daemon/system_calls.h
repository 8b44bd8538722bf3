// SPDX-License-Identifier: Apache-2.0
// The filter on system calls (seccomp) under which shuntd serves. Called by main, once, when everything stands.
// Not here: which rights it has (privileges.h).
#pragma once

#include "userspace/base/result.h"

namespace shunt {

// From now on all threads may make the calls that serving takes, for good. Those that only somebody else's code would
// make here (executing a program, making another process, tracing, mounting, changing rights …) end the process; every
// other one fails with EPERM.
Status LimitSystemCalls();

}  // namespace shunt

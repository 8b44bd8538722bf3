// SPDX-License-Identifier: Apache-2.0
// What goes wrong again and again stands in the log once, until it is something else. Any thread, each with a memory of
// its own.
#pragma once

#include <glog/logging.h>

#include <string>
#include <string_view>

#include "userspace/base/result.h"

namespace shunt {

// `doing`: what stands in front of it; `last`: what was wrong last, kept by the caller. An empty problem is none.
inline void LogOnce(std::string_view doing, const std::string& problem, std::string& last) {
  if (!problem.empty() && problem != last) LOG(ERROR) << doing << problem;
  last = problem;
}

template <class T>
void LogOnce(std::string_view doing, const Result<T>& done, std::string& last) {
  LogOnce(doing, done ? std::string() : done.error().message, last);
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What the fuzzers share: a check that ends the process, so that libFuzzer keeps the input, and the numbers that a
// configuration is held against. Included by every fuzzer here, by nobody else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "userspace/model/validate.h"

namespace shunt {

inline constexpr Capacities kFuzzCapacities{.max_vips = 64, .max_reals = 1024, .max_flows = 1024};

inline void Require(bool holds, std::string_view what, std::string_view detail = {}) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n%.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

// The lines of an input, one by one; the last one need not end.
class Lines {
 public:
  Lines(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  std::string Next() {
    const size_t end = rest_.find('\n');
    std::string line(rest_.substr(0, end));
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return line;
  }
  bool done() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace shunt

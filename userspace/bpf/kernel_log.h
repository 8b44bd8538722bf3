// SPDX-License-Identifier: Apache-2.0
// What libbpf and libxdp would print, as text for an Error: neither writes to stderr once this is linked in and
// used. Used by the .cc files of this folder; one KernelLog belongs to the thread that made it.
#pragma once

#include <string>
#include <string_view>

#include "userspace/base/result.h"

namespace shunt {

// Collects the warnings of both libraries on this thread while it lives. The innermost one collects.
class KernelLog {
 public:
  KernelLog();
  ~KernelLog();
  KernelLog(const KernelLog&) = delete;
  KernelLog& operator=(const KernelLog&) = delete;

  // The last lines, without the libraries' prefixes; empty if nothing was said.
  std::string text() const;
  bool Says(std::string_view words) const { return text_.find(words) != std::string::npos; }

  // "doing: strerror(error_number)" and, on further lines, what the libraries said.
  std::unexpected<Error> Fail(std::string_view doing, int error_number) const;

  void Append(std::string_view text) { text_ += text; }  // for the callbacks

 private:
  std::string text_;
  KernelLog* outer_;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/kernel_log.h"

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <vector>

namespace shunt {
namespace {

// A verifier log can be megabytes; what matters stands at its end.
constexpr size_t kLastLines = 25;

thread_local KernelLog* innermost = nullptr;

__attribute__((format(printf, 1, 0))) int Collect(const char* format, va_list arguments) {
  if (!innermost) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  if (length > 0) {
    std::string text(static_cast<size_t>(length) + 1, '\0');
    std::vsnprintf(text.data(), text.size(), format, again);
    text.pop_back();  // the terminating NUL
    innermost->Append(text);
  }
  va_end(again);
  return length;
}

__attribute__((format(printf, 2, 0))) int CollectLibbpf(libbpf_print_level level, const char* format,
                                                        va_list arguments) {
  return level == LIBBPF_WARN ? Collect(format, arguments) : 0;
}

__attribute__((format(printf, 2, 0))) int CollectLibxdp(libxdp_print_level level, const char* format,
                                                        va_list arguments) {
  return level == LIBXDP_WARN ? Collect(format, arguments) : 0;
}

std::string_view WithoutPrefix(std::string_view line) {
  for (const std::string_view prefix : {"libbpf: ", "libxdp: ", " libxdp: "}) {
    if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
  }
  return line;
}

}  // namespace

KernelLog::KernelLog() : outer_(innermost) {
  static std::once_flag once;
  std::call_once(once, [] {
    libbpf_set_print(CollectLibbpf);
    libxdp_set_print(CollectLibxdp);
  });
  innermost = this;
}

KernelLog::~KernelLog() { innermost = outer_; }

std::string KernelLog::text() const {
  std::vector<std::string_view> lines;
  for (std::string_view rest = text_; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0) lines.push_back(WithoutPrefix(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::string text;
  for (size_t i = lines.size() - std::min(lines.size(), kLastLines); i < lines.size(); ++i) {
    if (!text.empty()) text += '\n';
    text += lines[i];
  }
  return text;
}

std::unexpected<Error> KernelLog::Fail(std::string_view doing, int error_number) const {
  auto failure = FailErrno(doing, error_number);
  const std::string said = text();
  if (said.empty()) return failure;
  return shunt::Fail(failure.error().kind, failure.error().message + "\n" + said);
}

}  // namespace shunt

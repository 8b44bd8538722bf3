// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/output.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace shunt::ctl {
namespace {

int first_write_error = 0;  // errno of the first print that failed; one thread prints

void Write(FILE* file, std::string_view text) {
  errno = 0;
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (!whole && file == stdout && first_write_error == 0) first_write_error = errno == 0 ? EIO : errno;
}

}  // namespace

void Print(std::string_view text) { Write(stdout, text); }

void Say(std::string_view text) {
  std::fflush(stdout);  // so that words stand behind the lines they are about
  Write(stderr, std::string(text) + '\n');
}

void Complain(const Error& error) {
  Say(error.kind == ErrorKind::kSystem ? "shuntctl: " + error.message : error.message);
}

bool StdoutHasColour() {
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

bool StderrIsTerminal() { return isatty(STDERR_FILENO) == 1; }

Status FinishOutput() {
  errno = 0;
  if (std::fflush(stdout) != 0 && first_write_error == 0) first_write_error = errno == 0 ? EIO : errno;
  if (first_write_error != 0) return FailErrno("writing the output", first_write_error);
  return {};
}

void OutliveReader() { signal(SIGPIPE, SIG_IGN); }

Result<bool> Deliver() {
  const Status status = FinishOutput();
  if (status) return true;
  if (first_write_error != EPIPE) return std::unexpected(status.error());
  // What the reader left unread is nobody's, and no error of the end.
  if (std::freopen("/dev/null", "w", stdout) == nullptr) return std::unexpected(status.error());
  first_write_error = 0;
  return false;
}

int ExitStatusOf(const Status& status) {
  if (status) return 0;
  return status.error().kind == ErrorKind::kSystem ? 1 : 2;
}

}  // namespace shunt::ctl

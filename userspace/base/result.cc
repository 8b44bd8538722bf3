// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/result.h"

#include <system_error>

namespace shunt {

std::unexpected<Error> FailErrno(std::string_view doing, int error_number) {
  return Fail(ErrorKind::kSystem, std::string(doing) + ": " + std::generic_category().message(error_number));
}

}  // namespace shunt

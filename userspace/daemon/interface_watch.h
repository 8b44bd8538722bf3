// SPDX-License-Identifier: Apache-2.0
// The interface watch: a thread that hears of links from the kernel and keeps the program on those that the flags name.
// Not here: what is done about them (control/interface_keeper.h), attaching (dataplane/kernel_dataplane.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/control/controller.h"
#include "userspace/dataplane/kernel_dataplane.h"

namespace shunt {

class InterfaceWatch {
 public:
  // After Attach(). Publishes its report to the controller, for the first time before it returns. Both outlive the
  // watch.
  static Result<std::unique_ptr<InterfaceWatch>> Start(std::vector<std::string> interfaces, Controller& controller,
                                                       KernelDataplane& dataplane);
  ~InterfaceWatch();  // the program stays where it is

 private:
  struct Impl;
  explicit InterfaceWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

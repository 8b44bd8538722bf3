// SPDX-License-Identifier: Apache-2.0
// The API on its Unix socket: who may open it (root: mode 0600), one daemon per socket, start and stop. gRPC's
// threads serve. Not here: what the calls do (service.h).
#pragma once

#include <memory>
#include <string>

#include "userspace/base/result.h"
#include "userspace/control/controller.h"

namespace shunt {

class Server {
 public:
  // Makes the socket's folder if it is missing. A socket that nobody answers on is replaced; one that somebody
  // answers on, or a file of another kind, is an error. `controller` and `dataplane` outlive the server.
  static Result<std::unique_ptr<Server>> Start(const std::string& socket_path, Controller& controller,
                                               Dataplane& dataplane);
  ~Server();  // lets calls under way end, then removes the socket

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

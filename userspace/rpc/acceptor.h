// SPDX-License-Identifier: Apache-2.0
// Takes connections from a listening socket, on a thread of its own, and hands each to whoever is to serve one of its
// kind: gRPC would take them itself, but not tell who connects. It counts them, so that no kind takes more descriptors
// than its share. Called by the server (server.cc). Not here: what a kind may do (guarded_service.h).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"

namespace shunt {

// One kind of connection.
struct Reception {
  size_t max_connections = 0;           // of more, each new one is closed at once
  std::function<void(UniqueFd)> serve;  // on the acceptor's thread
};

class Acceptor {
 public:
  // `listener` (not blocking) and all that `kind_of` returns, which is never null, outlive the acceptor.
  static Result<std::unique_ptr<Acceptor>> Start(const std::string& name, int listener,
                                                 std::function<const Reception*(int connection)> kind_of);
  ~Acceptor();  // takes no more; what was handed over goes on

 private:
  struct Impl;
  explicit Acceptor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The API on its Unix socket and, if asked for, over TCP with mutual TLS: who has which rights, how many may connect,
// start and stop. gRPC's threads serve, one thread more accepts. Not here: what the calls do (service.h).
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"
#include "userspace/control/controller.h"
#include "userspace/net/endpoint.h"
#include "userspace/rpc/api_socket.h"

namespace shunt {

// Paths of PEM files.
struct TlsFiles {
  std::string certificate;  // the daemon's, with what lies between it and its authority
  std::string key;          // the daemon's
  std::string client_ca;    // authorities of clients' certificates
};

struct TlsOptions {
  Endpoint listen;
  TlsFiles files;
  std::set<std::string> admins;  // names in certificates whose owners may change things
};

// A TCP socket that listens there, not blocking.
Result<UniqueFd> ListenTcp(const Endpoint& endpoint);

struct ServerOptions {
  std::set<uid_t> admins;  // users who may change things, beside root and the daemon's own
  std::optional<TlsOptions> tls;
  UniqueFd tcp;  // of ListenTcp(tls->listen)
};

class Server {
 public:
  // Whoever is no admin may read. `controller` and `dataplane` outlive the server.
  static Result<std::unique_ptr<Server>> Start(ApiSocket socket, ServerOptions options, Controller& controller,
                                               Dataplane& dataplane);
  ~Server();  // lets calls under way end, then removes the socket

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// What TLS handshakes with the same settings share: trusted certificates and the client's own, read from their files
// once and again every few minutes, so that renewed ones are found. Called by probe_tls.cc alone.
#pragma once

#include <openssl/ssl.h>

#include <compare>
#include <map>
#include <memory>
#include <string>

#include "userspace/base/result.h"
#include "userspace/dataplane/plan.h"
#include "userspace/model/health_check.h"

namespace shunt {

class TlsContexts {
 public:
  // Valid until the next call and for every SSL made from it.
  Result<SSL_CTX*> Get(const HealthCheck& check, SteadyTime now);

 private:
  struct Settings {
    bool verify = true;
    std::string authorities, certificate, key;
    auto operator<=>(const Settings&) const = default;
  };
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  struct Made {
    std::unique_ptr<SSL_CTX, Free> context;
    SteadyTime at;
  };

  static Result<Made> Make(const Settings& settings, SteadyTime now);

  std::map<Settings, Made> made_;
};

}  // namespace shunt

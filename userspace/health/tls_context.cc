// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/tls_context.h"

#include <openssl/err.h>

#include <chrono>
#include <utility>

#include "userspace/base/text.h"

namespace shunt {
namespace {

constexpr std::chrono::minutes kKeptFor{5};

std::string FirstReason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason ? reason : "unknown error";
}

std::unexpected<Error> FailFile(std::string_view what, const std::string& file) {
  return Fail(ErrorKind::kSystem, "reading " + std::string(what) + " from " + Quote(file) + ": " + FirstReason());
}

}  // namespace

Result<SSL_CTX*> TlsContexts::Get(const HealthCheck& check, SteadyTime now) {
  std::erase_if(made_, [now](const auto& entry) { return now - entry.second.at > kKeptFor; });
  const Settings settings{check.tls_verify, check.tls_ca, check.tls_certificate, check.tls_key};
  auto found = made_.find(settings);
  if (found == made_.end()) {
    auto made = Make(settings, now);
    if (!made) return std::unexpected(made.error());
    found = made_.emplace(settings, std::move(*made)).first;
  }
  return found->second.context.get();
}

Result<TlsContexts::Made> TlsContexts::Make(const Settings& settings, SteadyTime now) {
  ERR_clear_error();
  Made made{.context = std::unique_ptr<SSL_CTX, Free>(SSL_CTX_new(TLS_client_method())), .at = now};
  SSL_CTX* const context = made.context.get();
  if (!context) return Fail(ErrorKind::kSystem, "preparing TLS: " + FirstReason());
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (settings.verify) {
    const std::string& file = settings.authorities;
    const int read =
        file.empty() ? SSL_CTX_set_default_verify_paths(context) : SSL_CTX_load_verify_file(context, file.c_str());
    if (read != 1) return FailFile("trusted certificates", file);
  }
  if (!settings.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, settings.certificate.c_str()) != 1)
      return FailFile("a certificate", settings.certificate);
    if (SSL_CTX_use_PrivateKey_file(context, settings.key.c_str(), SSL_FILETYPE_PEM) != 1)
      return FailFile("a key", settings.key);
  }
  return made;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/tls.h"

#include <fmt/format.h>
#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace shunt {
namespace {

constexpr unsigned kLookAgainSeconds = 5;
constexpr mode_t kOthers = 077;
constexpr const char* kIdentity = "api";
constexpr const char* kAuthority = "clients";

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

Status CheckReadable(const char* flag, const std::string& file) {
  if (access(file.c_str(), R_OK) == 0) return {};
  const int error = errno;
  auto failed = FailErrno(fmt::format("--{}: reading {}", flag, file), error);
  if (error == EACCES)
    failed.error().message += "; shuntd's user must be able to, since the file is read again when it changes";
  return failed;
}

}  // namespace

Status CheckTlsFiles(const TlsFiles& files) {
  for (const auto& [flag, file] : {std::pair("tls_certificate", &files.certificate), std::pair("tls_key", &files.key),
                                   std::pair("tls_client_ca", &files.client_ca)})
    if (auto readable = CheckReadable(flag, *file); !readable) return readable;
  struct stat status{};
  if (stat(files.key.c_str(), &status) != 0) return FailErrno("--tls_key: " + files.key, errno);
  if ((status.st_mode & kOthers) != 0)
    return Fail(ErrorKind::kSystem, fmt::format("--tls_key: {0} is open to others than its owner (mode {1:04o}); "
                                                "chmod 0600 {0}",
                                                files.key, status.st_mode & 07777u));
  const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_server_method()));
  if (!context) return Fail(ErrorKind::kSystem, "checking the certificates: out of memory");
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1)
    return Fail(ErrorKind::kSystem,
                fmt::format("--tls_certificate: {} holds no certificate in PEM", files.certificate));
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return Fail(ErrorKind::kSystem, fmt::format("--tls_key: {} holds no key in PEM that belongs to the certificate {}",
                                                files.key, files.certificate));
  if (SSL_CTX_load_verify_file(context.get(), files.client_ca.c_str()) != 1)
    return Fail(ErrorKind::kSystem, fmt::format("--tls_client_ca: {} holds no certificate in PEM", files.client_ca));
  return {};
}

std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(const TlsFiles& files) {
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(files.key, files.certificate,
                                                                           files.client_ca, kLookAgainSeconds));
  options.set_identity_cert_name(kIdentity);
  options.watch_identity_key_cert_pairs();
  options.set_root_cert_name(kAuthority);
  options.watch_root_certs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

std::set<std::string> NamesOfCaller(const grpc::ServerContext& context) {
  std::set<std::string> names;
  const auto caller = context.auth_context();
  if (!caller || !caller->IsPeerAuthenticated()) return names;
  for (const char* const property : {GRPC_X509_CN_PROPERTY_NAME, GRPC_X509_SAN_PROPERTY_NAME})
    for (const grpc::string_ref& name : caller->FindPropertyValues(property)) names.emplace(name.data(), name.size());
  return names;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The flags about rights: as whom shuntd runs, who runs programs for it, who may change things, and the API over TCP.
#include <fmt/format.h>
#include <gflags/gflags.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "userspace/base/text.h"
#include "userspace/daemon/flags.h"

// A sanitizer's own calls at the end of the process are none that serving takes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSeccompDefault = false;
#else
constexpr bool kSeccompDefault = true;
#endif

DEFINE_string(user, "",
              "name of the user to become once everything is open that takes root's rights, keeping the capabilities "
              "that serving takes; the store's folder must be writable for it; empty: stay who one is");
DEFINE_string(
    program_users, "nobody",
    "unless root runs shuntd without --user: names of the users, separated by commas, who may run programs (checks "
    "of kind exec); the user of the event hook is always one of them");
DEFINE_string(admins, "",
              "names of users, separated by commas, who may change things over the socket, like root and shuntd's own "
              "user; others who can open it may read");
DEFINE_bool(seccomp, kSeccompDefault,
            "limit the system calls to those that serving takes; false is for debuggers and tracers of one's own");
DEFINE_string(listen, "",
              "address and port of the API over TCP with mutual TLS, e.g. 192.0.2.1:9870; needs the three files below; "
              "empty: none");
DEFINE_string(tls_certificate, "", "PEM file of shuntd's certificate, for --listen");
DEFINE_string(tls_key, "", "PEM file of its key, which only its owner may read, for --listen");
DEFINE_string(tls_client_ca, "", "PEM file of the authorities whose certificates clients must have, for --listen");
DEFINE_string(
    tls_admins, "",
    "names in client certificates, separated by commas, whose owners may change things over TCP; others read");

DECLARE_bool(detach_on_exit);

namespace shunt {
namespace {

using Problems = std::vector<std::string>;

std::vector<std::string> SplitNames(std::string_view text) {
  std::vector<std::string> names;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find(',', start), text.size());
    if (end > start) names.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return names;
}

std::vector<UserIds> ReadUsers(const char* flag, std::string_view text, Problems& problems) {
  std::vector<UserIds> users;
  for (const std::string& name : SplitNames(text)) {
    auto user = LookUpUser(name);
    if (user) {
      users.push_back(std::move(*user));
    } else {
      problems.push_back(fmt::format("--{}: {}", flag, user.error().message));
    }
  }
  return users;
}

std::optional<UserIds> ReadUser(Problems& problems) {
  if (FLAGS_user.empty()) return std::nullopt;
  auto user = LookUpUser(FLAGS_user);
  if (user && user->user != 0) return *user;
  problems.push_back(user ? "--user: root is not to be become; leave the flag out to stay it"
                          : fmt::format("--user: {}; make it with systemd-sysusers, or: useradd --system {}",
                                        user.error().message, FLAGS_user));
  return std::nullopt;
}

// Root is refused: a daemon that was taken over could have anything done.
std::vector<UserIds> ReadProgramUsers(const std::optional<HookOptions>& hook, Problems& problems) {
  std::vector<UserIds> users = ReadUsers("program_users", FLAGS_program_users, problems);
  if (hook) {
    if (auto user = LookUpUser(hook->user)) users.push_back(std::move(*user));  // else it is a problem already
  }
  for (const UserIds& user : users)
    if (user.user == 0)
      problems.push_back("--program_users, --event_hook_user: root may not run programs for a shuntd that is not root");
  return users;
}

std::optional<TlsOptions> ReadTls(Problems& problems) {
  const std::pair<const char*, const std::string*> files[] = {{"tls_certificate", &FLAGS_tls_certificate},
                                                              {"tls_key", &FLAGS_tls_key},
                                                              {"tls_client_ca", &FLAGS_tls_client_ca}};
  if (FLAGS_listen.empty()) {
    for (const auto& [flag, file] : files)
      if (!file->empty()) problems.push_back(fmt::format("--{}: makes sense only with --listen", flag));
    return std::nullopt;
  }
  for (const auto& [flag, file] : files)
    if (file->empty())
      problems.push_back(fmt::format("--listen: the API is not offered without mutual TLS: --{} is missing", flag));
  const auto listen = Endpoint::Parse(FLAGS_listen);
  if (!listen || listen->port == 0) {
    problems.push_back(fmt::format("--listen: {}: expected an address and a port from 1 to 65535, e.g. 192.0.2.1:9870",
                                   Quote(FLAGS_listen)));
    return std::nullopt;
  }
  const auto admins = SplitNames(FLAGS_tls_admins);
  return TlsOptions{
      .listen = *listen,
      .files = {.certificate = FLAGS_tls_certificate, .key = FLAGS_tls_key, .client_ca = FLAGS_tls_client_ca},
      .admins = {admins.begin(), admins.end()}};
}

}  // namespace

AccessOptions ReadAccessFlags(const std::optional<HookOptions>& hook, Problems& problems) {
  AccessOptions access;
  access.user = ReadUser(problems);
  if (access.user && FLAGS_detach_on_exit)
    problems.emplace_back(
        "--detach_on_exit: detaching takes rights that shuntd has no more with --user; run shuntctl "
        "detach after it has stopped");
  // A service manager may have made it another user than root, with the right to start programs as others.
  if (access.user || geteuid() != 0) access.program_users = ReadProgramUsers(hook, problems);
  for (const UserIds& user : ReadUsers("admins", FLAGS_admins, problems)) access.admins.insert(user.user);
  access.seccomp = FLAGS_seccomp;
  access.tls = ReadTls(problems);
  return access;
}

}  // namespace shunt

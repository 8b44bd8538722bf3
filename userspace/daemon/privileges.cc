// SPDX-License-Identifier: Apache-2.0
#include "userspace/daemon/privileges.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <span>
#include <system_error>
#include <vector>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

// BPF: maps and programs. PERFMON: the programs do arithmetic with pointers, which the verifier grants to nobody else.
// NET_ADMIN: XDP, tc, neighbours, marks of probes. SYS_ADMIN: finding by id what an earlier shuntd and others attached.
constexpr std::array kForStart{CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN};
// NET_RAW: ICMP probes.
constexpr std::array kForService{CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_NET_RAW};
constexpr std::array kForPrograms{CAP_SETUID, CAP_SETGID, CAP_KILL};

std::string NameOf(int capability) {
  std::string name = fmt::format("cap_{}", capng_capability_to_name(static_cast<unsigned>(capability)));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

bool Has(int capability) { return capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(capability)) != 0; }

bool MayLimitBounds() { return Has(CAP_SETPCAP); }

Status BecomeUser(const std::string& doing, const UserIds& user) {
  if (setgroups(user.groups.size(), user.groups.data()) != 0) return FailErrno(doing + ": setting its groups", errno);
  // The library raises CAP_SETUID and CAP_SETGID for the change, keeps what is set over it, and drops the two.
  if (const int error = capng_change_id(static_cast<int>(user.user), static_cast<int>(user.group),
                                        static_cast<capng_flags_t>(CAPNG_NO_FLAG));
      error != 0)
    return Fail(ErrorKind::kSystem, fmt::format("{}: libcap-ng failed in step {}", doing, -error));
  return {};
}

// Exactly these, of those that the process has, as permitted and effective; none that a program it executes would get.
Status KeepOnly(const std::string& doing, std::span<const int> capabilities, const std::optional<UserIds>& user) {
  capng_get_caps_process();
  std::vector<int> kept;
  std::ranges::copy_if(capabilities, std::back_inserter(kept), Has);
  const bool limits_bounds = MayLimitBounds();
  capng_clear(CAPNG_SELECT_ALL);
  for (const int capability : kept) {
    const auto type =
        static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | (limits_bounds ? int{CAPNG_BOUNDING_SET} : 0));
    capng_update(CAPNG_ADD, type, static_cast<unsigned>(capability));
  }
  // The bounding set first, for it takes CAP_SETPCAP, which is not kept.
  if (limits_bounds && capng_apply(CAPNG_SELECT_BOUNDS) != 0)
    return Fail(ErrorKind::kSystem, doing + ": the kernel refuses to limit the bounding set");
  if (user && user->user != geteuid())
    if (auto became = BecomeUser(doing, *user); !became) return became;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || capng_apply(CAPNG_SELECT_CAPS) != 0)
    return Fail(ErrorKind::kSystem, doing + ": the kernel refuses to set the capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return FailErrno(doing + ": forbidding new privileges", errno);
  return {};
}

std::string Doing(const std::optional<UserIds>& user) {
  return user ? fmt::format("becoming user {}", user->name) : "giving up privileges";
}

}  // namespace

Status CheckCapabilities(const std::optional<UserIds>& user) {
  capng_get_caps_process();
  std::vector<int> needed(kForStart.begin(), kForStart.end());
  if (user && user->user != geteuid()) needed.insert(needed.end(), {CAP_SETUID, CAP_SETGID});
  std::vector<std::string> missing;
  for (const int capability : needed)
    if (!Has(capability)) missing.push_back(NameOf(capability));
  if (missing.empty()) return {};
  std::error_code ignored;
  return Fail(
      ErrorKind::kSystem,
      fmt::format("starting without {}: start shuntd as root, or, to run it as who you are, give the program what "
                  "it needs: setcap cap_bpf,cap_net_admin,cap_perfmon,cap_sys_admin,cap_net_raw=ep {}",
                  fmt::join(missing, ", "), std::filesystem::read_symlink("/proc/self/exe", ignored).string()));
}

Status GiveFile(const std::string& path, const UserIds& user) {
  const UniqueFd fd(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) return {};  // whoever reads it says why
  if (status.st_uid != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1) return {};
  if (fchownat(fd.get(), "", user.user, user.group, AT_EMPTY_PATH) == 0) return {};
  return FailErrno(fmt::format("giving {} to user {}", path, user.name), errno);
}

FileRightsOf::FileRightsOf(const std::optional<UserIds>& user) {
  if (!user || user->user == geteuid()) return;
  active_ = true;
  const int count = getgroups(0, nullptr);
  groups_.resize(static_cast<size_t>(std::max(count, 0)));
  if (count > 0) getgroups(count, groups_.data());
  setgroups(user->groups.size(), user->groups.data());
  setfsgid(user->group);
  setfsuid(user->user);  // which takes the capabilities that override rights to files away for so long
}

FileRightsOf::~FileRightsOf() {
  if (!active_) return;
  setfsuid(geteuid());
  setfsgid(getegid());
  setgroups(groups_.size(), groups_.data());
}

Status DropPrivileges(const std::optional<UserIds>& user) { return KeepOnly(Doing(user), kForService, user); }

Status KeepStartingPrograms(const std::optional<UserIds>& user) { return KeepOnly(Doing(user), kForPrograms, user); }

}  // namespace shunt

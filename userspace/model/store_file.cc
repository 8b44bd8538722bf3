// SPDX-License-Identifier: Apache-2.0
// The store as a file. Not here: its text (store_yaml.cc), how a file is replaced (whole_file.cc).
#include "userspace/model/store_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace shunt {
namespace {

constexpr int kMaxLinks = 40;  // as many as the kernel follows

// A symlink is followed, so that what it names is replaced and the link stays. The target need not exist yet.
Result<std::string> FollowLinks(const std::string& path) {
  std::filesystem::path target = path;
  for (int i = 0; i < kMaxLinks; ++i) {
    std::error_code error;
    if (!std::filesystem::is_symlink(target, error)) return target.string();
    const auto next = std::filesystem::read_symlink(target, error);
    if (error) return FailErrno(fmt::format("following the link {}", target.string()), error.value());
    target = target.parent_path() / next;  // an absolute `next` replaces the whole path
  }
  return FailErrno(fmt::format("following the link {}", path), ELOOP);
}

}  // namespace

Result<DesiredState> LoadFile(const std::string& path, const Capacities& capacities) {
  const auto file = ReadWhole(path, kMaxStoreBytes, Accept::kAnyFile);
  if (!file) return std::unexpected(file.error());
  return ParseYaml(file->text, path, capacities);
}

Result<LoadedStore> LoadStore(const std::string& path, const Capacities& capacities) {
  const auto file = ReadWhole(path, kMaxStoreBytes, Accept::kRegularFile);
  if (!file) return std::unexpected(file.error());
  auto state = ParseYaml(file->text, path, capacities);
  if (!state) return std::unexpected(state.error());
  return LoadedStore{.state = *std::move(state), .identity = file->identity};
}

Result<WholeWrite> PrepareStore(const std::string& path, const DesiredState& state) {
  const std::string doing = fmt::format("writing {}", path);
  const auto target = FollowLinks(path);
  if (!target) return Context(doing, target.error());
  std::error_code ignored;
  if (std::filesystem::is_directory(*target, ignored)) {
    return Fail(ErrorKind::kInvalid, doing + ": a folder; expected a file");
  }
  const std::string text = ToYaml(state);
  if (text.size() > kMaxStoreBytes) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: too large; expected at most {} bytes, not {}", doing, kMaxStoreBytes, text.size()));
  }
  return WholeWrite::Prepare(*target, text);
}

void RemoveStoreLeftovers(const std::string& path) {
  if (const auto target = FollowLinks(path)) RemoveLeftovers(*target);
}

}  // namespace shunt

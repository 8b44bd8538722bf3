// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/store_history.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string_view>
#include <system_error>

#include "userspace/model/store_file.h"
#include "userspace/model/validate.h"
#include "userspace/model/whole_file.h"

namespace shunt {
namespace {

constexpr mode_t kFolderMode = 0700;  // its files hold hash keys
constexpr size_t kMaxFiles = 100'000;
constexpr std::string_view kSuffix = ".yaml";
constexpr std::string_view kSentence =
    "A generation of shuntd's store, kept for shuntctl history, diff and rollback; shuntctl apply -f reads it too.";

// Of "00000012.yaml"; no number has two names.
std::optional<uint64_t> NumberOf(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const auto number = ReadNumber(name);
  if (!number || *number == 0 || *number > kMaxGeneration || name != fmt::format("{:08}", *number)) return std::nullopt;
  return number;
}

// What is kept may be larger than today's tables: whether it fits is asked when it is to come into force.
constexpr Capacities AnyCapacities() {
  constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();
  return {.max_vips = kNoLimit, .max_reals = kNoLimit, .max_flows = kNoLimit};
}

Generation ReadGeneration(uint64_t number, const std::string& beginning) {
  auto head = ReadStoreHead(beginning);
  Generation generation{.number = number};
  generation.since = ParseWallTime(head["in force since"]);
  generation.by = head["by"];
  generation.changes = ReadNumber(head["changes"]);
  generation.first_change = head["first change"];
  return generation;
}

}  // namespace

StoreHistory::StoreHistory(const std::string& store_path) : folder_(store_path + ".history") {}

std::string StoreHistory::PathOf(uint64_t number) const { return fmt::format("{}/{:08}{}", folder_, number, kSuffix); }

Result<std::set<uint64_t>> StoreHistory::Numbers() const {
  std::set<uint64_t> numbers;
  std::error_code error;
  size_t files = 0;
  for (std::filesystem::directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    if (++files > kMaxFiles) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("reading the folder {}: more than {} files; remove what is no generation of the store",
                              folder_, kMaxFiles));
    }
    if (const auto number = NumberOf(entry->path().filename().string())) numbers.insert(*number);
  }
  if (error && error.value() != ENOENT) return FailErrno(fmt::format("reading the folder {}", folder_), error.value());
  return numbers;
}

Result<uint64_t> StoreHistory::Newest() const {
  const auto numbers = Numbers();
  if (!numbers) return std::unexpected(numbers.error());
  return numbers->empty() ? 0 : *numbers->rbegin();
}

Result<std::vector<Generation>> StoreHistory::List() const {
  const auto numbers = Numbers();
  if (!numbers) return std::unexpected(numbers.error());
  std::vector<Generation> generations;
  for (const uint64_t number : *numbers) {
    // What bears a generation's name and cannot be read, or is being pruned meanwhile, is none.
    const auto beginning = ReadBeginning(PathOf(number), kMaxHeadBytes);
    if (beginning) generations.push_back(ReadGeneration(number, *beginning));
  }
  return generations;
}

Result<DesiredState> StoreHistory::Load(uint64_t number) const {
  const auto file = ReadWhole(PathOf(number), kMaxStoreBytes, Accept::kOwnFile);
  if (file) return ParseYaml(file->text, PathOf(number), AnyCapacities());
  if (file.error().kind != ErrorKind::kNotFound) return std::unexpected(file.error());
  const auto numbers = Numbers();
  if (!numbers) return std::unexpected(numbers.error());
  if (numbers->empty()) return Fail(ErrorKind::kNotFound, fmt::format("no generation {}: none is kept", number));
  return Fail(ErrorKind::kNotFound, fmt::format("no generation {}; kept are {} to {}: shuntctl history", number,
                                                *numbers->begin(), *numbers->rbegin()));
}

Status StoreHistory::MakeFolder() const {
  if (mkdir(folder_.c_str(), kFolderMode) == 0) return SyncFolderOf(folder_);
  if (errno == EEXIST) return {};
  return FailErrno(fmt::format("making the folder {}", folder_), errno);
}

void StoreHistory::RemoveLeftoversOf(uint64_t number) const { RemoveLeftovers(PathOf(number)); }

Status StoreHistory::Add(const Generation& generation, const DesiredState& state) const {
  const std::string doing = fmt::format("keeping generation {} of the store", generation.number);
  if (generation.number == 0 || generation.number > kMaxGeneration) {
    return Fail(ErrorKind::kInvalid, fmt::format("{}: numbers end at {}; remove the file {}", doing, kMaxGeneration,
                                                 PathOf(kMaxGeneration)));
  }
  if (auto made = MakeFolder(); !made) return Context(doing, made.error());
  StoreHead head(kSentence);
  head.Add("generation", fmt::format("{}", generation.number));
  if (generation.since) head.Add("in force since", ToText(*generation.since));
  head.Add("by", generation.by);
  if (generation.changes) head.Add("changes", fmt::format("{}", *generation.changes));
  if (!generation.first_change.empty()) head.Add("first change", generation.first_change);
  const std::string text = head.text() + ToYaml(state);
  if (text.size() > kMaxStoreBytes) {
    return Fail(ErrorKind::kInvalid, fmt::format("{}: too large; at most {} bytes are kept", doing, kMaxStoreBytes));
  }
  auto write = WholeWrite::Prepare(PathOf(generation.number), text);
  if (!write) return Context(doing, write.error());
  if (auto committed = write->Commit(); !committed) {
    static_cast<void>(RemoveForGood(PathOf(generation.number)));  // renamed and unsynced: it is to be tried again whole
    return Context(doing, committed.error());
  }
  return {};
}

Status StoreHistory::Prune(uint32_t kept) const {
  auto numbers = Numbers();
  if (!numbers) return std::unexpected(numbers.error());
  Status first_error;
  while (numbers->size() > size_t{kept} + 1) {
    const uint64_t oldest = *numbers->begin();
    numbers->erase(numbers->begin());
    // A crash that brings it back does no harm: it is pruned again.
    std::error_code error;
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(PathOf(oldest), error))) continue;
    if (!std::filesystem::remove(PathOf(oldest), error) && error && first_error) {
      first_error = FailErrno(fmt::format("removing {}", PathOf(oldest)), error.value());
    }
  }
  return first_error;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/kernel_pins.h"

#include <fmt/format.h>
#include <shunt/abi_types.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "userspace/bpf/layout.h"
#include "userspace/bpf/programs.h"

namespace shunt {
namespace {

constexpr std::string_view kNext = "-next";
constexpr std::string_view kTakingOver = "-taking-over";
// Versions whose maps are like today's, but for those that are missing there.
constexpr std::string_view kOlder[] = {"v2"};

struct Found {
  bool own = false;
  bool taking_over = false;
  std::optional<std::string> older;
};

Result<Found> Look(const LockedFolder& folder, const std::string& own) {
  auto names = folder.List();
  if (!names) return std::unexpected(names.error());
  Found found;
  for (const std::string& name : *names) {
    if (name.ends_with(kUnfinishedSet) || name.ends_with(kNext)) {
      if (auto removed = RemoveFolder(folder.within() + "/" + name); !removed) return std::unexpected(removed.error());
    } else if (name == own) {
      found.own = true;
    } else if (name == TakingOverSet(own)) {
      found.taking_over = true;
    } else if (IsKnownSet(name)) {
      found.older = name;
    } else {
      return Fail(
          ErrorKind::kSystem,
          fmt::format("taking over the pins in {}: their layout is {}, which this version does not know (its own "
                      "is {}); run the version that made them, or {}",
                      folder.path(), name, own, StartAfresh()));
    }
  }
  return found;
}

Result<PinChoice> Resume(const LockedFolder& folder, const Object& object, const std::string& own,
                         const std::optional<std::string>& earlier) {
  const std::string set = TakingOverSet(own);
  if (!earlier) {  // all that was left to do
    if (auto renamed = RenameFolder(folder.within() + "/" + set, folder.within() + "/" + own); !renamed)
      return std::unexpected(renamed.error());
    return PinChoice{.set = own};
  }
  auto fit = ComparePins(object, folder.within() + "/" + set, StartAfresh());
  if (!fit) return std::unexpected(fit.error());
  if (*fit == PinFit::kSame) return PinChoice{.set = set, .earlier = earlier, .resumes = true};
  return Fail(
      ErrorKind::kSystem,
      fmt::format("taking over the pins in {}: an earlier process was changing over from {} to other capacities "
                  "and did not end; start once with the capacities that it had (--max_vips, --max_reals, "
                  "--max_flows), or {}",
                  folder.path(), *earlier, StartAfresh()));
}

}  // namespace

bool IsKnownSet(const std::string& set) { return std::ranges::find(kOlder, set) != std::end(kOlder); }

Result<std::string> OwnSet() {
  auto object = Object::Open("balancer", BalancerElf());
  if (!object) return std::unexpected(object.error());
  auto digest = LayoutDigest(*object);
  if (!digest) return digest;
  return fmt::format("v{}-{}", SHUNT_ABI_VERSION, *digest);
}

Result<PinChoice> ChoosePins(const LockedFolder& folder, const Object& object) {
  auto name = OwnSet();
  if (!name) return std::unexpected(name.error());
  const std::string own = *name;
  auto found = Look(folder, own);
  if (!found) return std::unexpected(found.error());
  if (found->taking_over) return Resume(folder, object, own, found->own ? own : found->older);
  if (found->own) {
    auto fit = ComparePins(object, folder.within() + "/" + own, StartAfresh());
    if (!fit) return std::unexpected(fit.error());
    if (*fit == PinFit::kSame) return PinChoice{.set = own};
    return PinChoice{.set = NextSet(own), .earlier = own};
  }
  if (found->older) return PinChoice{.set = NextSet(own), .earlier = found->older};
  return PinChoice{.set = own};
}

std::string NextSet(const std::string& set) { return set + std::string(kNext); }

std::string TakingOverSet(const std::string& set) { return set + std::string(kTakingOver); }

std::string FinalSet(const std::string& set) {
  for (const std::string_view end : {kNext, kTakingOver})
    if (set.ends_with(end)) return set.substr(0, set.size() - end.size());
  return set;
}

std::string StartAfresh() { return "to start afresh, losing remembered flows and counters, `shuntctl detach` first"; }

Result<std::vector<uint32_t>> PinnedMapIds(const std::string& folder) {
  auto names = ListFolder(folder);
  if (!names) return std::unexpected(names.error());
  std::vector<uint32_t> ids;
  for (const std::string& name : *names) {
    if (name == "program" || name == "probe") continue;
    auto map = OpenPin(folder + "/" + name);
    if (!map) return std::unexpected(map.error());
    ids.push_back(map->id());
  }
  return ids;
}

Result<KeptProgram> OpenKeptProgram(const std::string& folder) {
  auto fd = OpenPinnedProgram(folder + "/program");
  if (!fd) return std::unexpected(fd.error());
  auto map = OpenPin(folder + "/constants");
  if (!map) return std::unexpected(map.error());
  std::vector<std::byte> constants(map->shape().value_bytes);
  const uint32_t only = 0;
  auto read = map->Lookup(&only, constants.data());
  if (!read) return std::unexpected(read.error());
  auto identity = IdentifyProgram(fd->get(), std::move(constants));
  if (!identity) return std::unexpected(identity.error());
  return KeptProgram{std::move(*fd), std::move(*identity)};
}

Status PinProgram(const KeptProgram& program, const BpfMap& constants, const std::string& folder) {
  // In this order a process that dies between the two leaves a program that nobody takes for this version.
  if (auto pinned = Pin(program.fd.get(), folder + "/program"); !pinned) return pinned;
  return Pin(constants.fd(), folder + "/constants");
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// The text of the store: YAML to the desired state and back, every problem with its line. Not here: files
// (store_file.cc).
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "userspace/model/config_proto.h"
#include "userspace/model/store_file.h"
#include "userspace/model/yaml_proto.h"
#include "userspace/model/yaml_tree.h"

namespace shunt {
namespace {

constexpr std::string_view kComment =
    "# The desired state of this balancer, written by shuntd: other comments do not stay. Every key: shunt.yaml(5).\n";

// Where the VIPs and reals that Validate() names stand in the file: vips["K"].reals["A"] -> vips[3].reals[1].
std::map<std::string, std::string, std::less<>> Positions(const v1::Config& config) {
  std::map<std::string, std::string, std::less<>> positions;
  for (int i = 0; i < config.vips_size(); ++i) {
    const auto key = VipKey::Parse(config.vips(i).vip());
    if (!key) continue;
    const std::string name = fmt::format("vips[\"{}\"]", key->ToString());
    // Of two entries of one name the first is in the state, and is the one that Validate() saw.
    if (!positions.emplace(name, fmt::format("vips[{}]", i)).second) continue;
    for (int j = 0; j < config.vips(i).reals_size(); ++j) {
      const auto address = IpAddress::Parse(config.vips(i).reals(j).address());
      if (!address) continue;
      positions.emplace(fmt::format("{}.reals[\"{}\"]", name, address->ToString()),
                        fmt::format("vips[{}].reals[{}]", i, j));
    }
  }
  return positions;
}

// Replaces the longest named beginning of `path` by its position.
std::string Positioned(const std::map<std::string, std::string, std::less<>>& positions, std::string_view path) {
  for (size_t end = path.rfind("\"]"); end != std::string_view::npos; end = path.rfind("\"]", end - 1)) {
    const auto found = positions.find(path.substr(0, end + 2));
    if (found != positions.end()) return found->second + std::string(path.substr(end + 2));
  }
  return std::string(path);
}

// Whether the value at `path`, or one around it, could not be read: then it is not also told as missing or impossible.
bool Unread(const std::set<std::string, std::less<>>& unread, std::string_view path) {
  for (;;) {
    if (unread.contains(path)) return true;
    const size_t end = path.find_last_of(".[");
    if (end == std::string_view::npos) return false;
    path = path.substr(0, end);
  }
}

// All problems as one error, in the order of the file; those of the whole file last.
std::unexpected<Error> Refuse(const std::string& name, std::vector<YamlProblem> problems) {
  std::ranges::stable_sort(problems, {}, [](const YamlProblem& problem) { return problem.line - 1; });
  std::string message;
  for (const YamlProblem& problem : problems) {
    const std::string place = problem.line == 0 ? name : fmt::format("{}:{}", name, problem.line);
    message += fmt::format("{}{}: {}{}{}", message.empty() ? "" : "\n", place, problem.path,
                           problem.path.empty() ? "" : ": ", problem.message);
  }
  return Fail(ErrorKind::kInvalid, message);
}

}  // namespace

Result<DesiredState> ParseYaml(const std::string& text, const std::string& name, const Capacities& capacities) {
  if (text.size() > kMaxStoreBytes) {
    return Refuse(name, {{0, "", fmt::format("too large; expected at most {} bytes", kMaxStoreBytes)}});
  }
  const auto tree = ReadYamlTree(text);
  if (!tree) return Refuse(name, {tree.error()});
  // A file that says nothing is more often a lost one than the wish to serve nothing.
  if (tree->kind == YamlNode::Kind::kNull) {
    return Refuse(name, {{0, "", "empty; for a balancer without VIPs write vips: []"}});
  }
  v1::Config config;
  std::vector<YamlProblem> problems = FillFromYaml(*tree, config);
  std::set<std::string, std::less<>> unread;
  for (const YamlProblem& problem : problems) {
    if (problem.unread) unread.insert(problem.path);
  }

  DesiredState state;
  for (Problem& problem : FromProto(config, state)) {
    if (Unread(unread, problem.path)) continue;
    problems.push_back({LineOf(*tree, problem.path), problem.path, std::move(problem.message)});
    unread.insert(std::move(problem.path));
  }
  const auto found = Validate(state, capacities);
  const auto positions = found.empty() ? decltype(Positions(config)){} : Positions(config);
  for (const Problem& problem : found) {
    const std::string place = Positioned(positions, problem.path);
    if (Unread(unread, place)) continue;
    problems.push_back({LineOf(*tree, place), problem.path, problem.message});
  }
  if (!problems.empty()) return Refuse(name, std::move(problems));
  return state;
}

std::string ToYaml(const DesiredState& state) { return std::string(kComment) + YamlFromProto(ToProto(state)); }

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// YAML text as a tree that knows its lines. Strict: one document, no anchors, aliases or tags, no control
// characters, limited depth. The only part that sees yaml-cpp. Not here: which keys there are (yaml_proto.h).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace shunt {

// Deeper than any configuration (6 levels), far from what recursion over the tree can bear.
inline constexpr size_t kMaxYamlDepth = 32;

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  bool quoted = false;    // a scalar in quotes is text, whatever it looks like
  uint32_t line = 0;      // counted from 1
  uint32_t key_line = 0;  // of `key`
  std::string key{};      // entries of a map
  std::string text{};     // scalars
  std::vector<YamlNode> children{};
};

struct YamlProblem {
  uint32_t line = 0;  // 0 = the whole text
  std::string path;   // vips[3].reals[1].weight; empty = the top
  std::string message;
  bool unread = false;  // the value at `path` was passed over, with all below it
};

std::expected<YamlNode, YamlProblem> ReadYamlTree(const std::string& text);

// The line of a place, or of the innermost place around it that the tree has.
uint32_t LineOf(const YamlNode& root, std::string_view path);

}  // namespace shunt

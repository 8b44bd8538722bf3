// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <utility>

namespace shunt {
namespace {

uint32_t LineNumber(const YAML::Mark& mark) { return mark.line < 0 ? 0 : static_cast<uint32_t>(mark.line) + 1; }

[[noreturn]] void Refuse(const YAML::Mark& mark, const std::string& why) { throw YAML::ParserException(mark, why); }

// Builds the tree from the parser's events. What it refuses it throws as the parser does, so that reading stops
// there; ReadYamlTree() catches both.
class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(started_, true)) Refuse(mark, "a second document begins here; expected only one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    RefuseKey(mark);
    Add({.kind = YamlNode::Kind::kNull, .line = LineNumber(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "aliases (*name) are not allowed; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (ExpectsKey()) {
      key_ = value;
      key_line_ = LineNumber(mark);
      has_key_ = true;
      return;
    }
    Add({.kind = YamlNode::Kind::kScalar, .quoted = tag == "!", .line = LineNumber(mark), .text = value});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  bool ExpectsKey() const { return !open_.empty() && open_.back().kind == YamlNode::Kind::kMap && !has_key_; }

  // The parser also takes a bracket that is never closed for the beginning of a key.
  void RefuseKey(const YAML::Mark& mark) const {
    if (ExpectsKey()) Refuse(mark, "expected a key of one word, or a bracket is not closed");
  }
  static void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) Refuse(mark, "anchors (&name) are not allowed; write the value out where it is needed");
  }
  // yaml-cpp says "?" of what is plain and "!" of what is quoted.
  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") Refuse(mark, "tags (!name) are not allowed; leave it out");
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    RefuseKey(mark);
    if (open_.size() == kMaxYamlDepth) Refuse(mark, fmt::format("nested deeper than {} levels", kMaxYamlDepth));
    YamlNode node{.kind = kind, .line = LineNumber(mark)};
    TakeKey(node);
    open_.push_back(std::move(node));
  }
  void Close() {
    YamlNode node = std::move(open_.back());
    open_.pop_back();
    Attach(std::move(node));
  }
  void Add(YamlNode node) {
    TakeKey(node);
    Attach(std::move(node));
  }
  void TakeKey(YamlNode& node) {
    if (!std::exchange(has_key_, false)) return;
    node.key = std::move(key_);
    node.key_line = key_line_;
  }
  void Attach(YamlNode node) { (open_.empty() ? root_ : open_.back().children.emplace_back()) = std::move(node); }

  YamlNode root_;
  std::vector<YamlNode> open_;  // the lists and maps around the current event
  std::string key_;
  uint32_t key_line_ = 0;
  bool has_key_ = false;
  bool started_ = false;
};

// Bytes that no UTF-8 text of ours has. yaml-cpp would take some as the end of the text (0x04) or as a sign of
// another encoding, and silently read something else than what stands there.
bool Forbidden(char character) {
  const auto byte = static_cast<uint8_t>(character);
  if (byte < 0x20) return character != '\t' && character != '\n' && character != '\r';
  return byte == 0x7f || byte == 0xc0 || byte == 0xc1 || byte > 0xf4;
}

// One step of a path: a key, or the position in a list. `path` moves behind it.
const YamlNode* Step(const YamlNode& node, std::string_view& path) {
  if (path.starts_with('[')) {
    size_t position = 0;
    const auto [end, error] = std::from_chars(path.data() + 1, path.data() + path.size(), position);
    if (error != std::errc() || node.kind != YamlNode::Kind::kList) return nullptr;
    path.remove_prefix(std::min(path.size(), static_cast<size_t>(end - path.data()) + 1));
    return position < node.children.size() ? &node.children[position] : nullptr;
  }
  if (path.starts_with('.')) path.remove_prefix(1);
  const std::string_view key = path.substr(0, path.find_first_of(".["));
  path.remove_prefix(key.size());
  if (node.kind != YamlNode::Kind::kMap) return nullptr;
  const auto child = std::ranges::find(node.children, key, &YamlNode::key);
  return child == node.children.end() ? nullptr : &*child;
}

}  // namespace

std::expected<YamlNode, YamlProblem> ReadYamlTree(const std::string& text) {
  const auto forbidden = std::ranges::find_if(text, Forbidden);
  if (forbidden != text.end()) {
    const auto line = static_cast<uint32_t>(std::count(text.begin(), forbidden, '\n')) + 1;
    return std::unexpected(YamlProblem{line, "",
                                       fmt::format("byte 0x{:02x}: expected UTF-8 text without control characters",
                                                   static_cast<uint8_t>(*forbidden))});
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.TakeRoot();
  } catch (const YAML::Exception& error) {
    return std::unexpected(YamlProblem{LineNumber(error.mark), "", error.msg});
  }
}

uint32_t LineOf(const YamlNode& root, std::string_view path) {
  uint32_t line = root.line;
  for (const YamlNode* node = &root; !path.empty();) {
    node = Step(*node, path);
    if (node == nullptr) break;
    line = node->key_line != 0 ? node->key_line : node->line;
  }
  return line;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/yaml_proto.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <memory>
#include <optional>
#include <set>

#include "userspace/base/text.h"

namespace shunt {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// TRACKING_ALL -> "all": every name begins as the zero value TRACKING_UNSPECIFIED does.
std::string EnumText(const EnumValueDescriptor& value) {
  static constexpr std::string_view kUnspecified = "UNSPECIFIED";
  const size_t prefix = value.type()->value(0)->name().size() - kUnspecified.size();
  std::string text = value.name().substr(prefix);
  for (char& letter : text) letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  return text;
}

// A decimal number: digits, and perhaps a point with more digits; no sign, no exponent, no zero before another digit.
std::optional<double> ParseNumber(std::string_view text) {
  const size_t point = text.find('.');
  const std::string_view fraction = point == std::string_view::npos ? "0" : text.substr(point + 1);
  const auto is_digit = [](char character) { return character >= '0' && character <= '9'; };
  if (fraction.empty() || !std::ranges::all_of(fraction, is_digit)) return std::nullopt;
  if (!ParseDecimal(text.substr(0, point), std::numeric_limits<uint32_t>::max())) return std::nullopt;
  double number = 0;
  const char* const end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(std::to_address(text.begin()), end, number, std::chars_format::fixed);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

// The shortest text that says exactly this number.
std::string NumberText(double number) {
  std::array<char, 400> text{};  // the longest is about 350 characters
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed).ptr;
  return {text.data(), end};
}

// The values a file may name: all but "unspecified", which is said by leaving the key out.
std::vector<const EnumValueDescriptor*> EnumChoices(const EnumDescriptor& type) {
  std::vector<const EnumValueDescriptor*> choices;
  for (int i = 1; i < type.value_count(); ++i) choices.push_back(type.value(i));
  return choices;
}

std::string EnumChoicesText(const EnumDescriptor& type) {
  std::string text;
  for (const auto* choice : EnumChoices(type)) text += (text.empty() ? "" : " or ") + EnumText(*choice);
  return text;
}

std::string KeysText(const Descriptor& type) {
  std::string text;
  for (int i = 0; i < type.field_count(); ++i) text += (i == 0 ? "" : ", ") + type.field(i)->name();
  return text;
}

std::string FoundText(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return Quote(node.text);
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "keys with values";
  }
  return "";
}

class Reader {
 public:
  void ReadMap(const YamlNode& map, const std::string& path, Message& message) {
    const Descriptor& type = *message.GetDescriptor();
    if (map.kind != YamlNode::Kind::kMap) {
      return Wrong(map, path, fmt::format("keys with values ({})", KeysText(type)));
    }
    std::set<std::string_view> seen;
    for (const YamlNode& entry : map.children) {
      const FieldDescriptor* field = type.FindFieldByName(entry.key);
      const std::string place = path.empty() ? entry.key : path + "." + entry.key;
      if (field == nullptr) {
        Add(entry.key_line, path, fmt::format("unknown key {}; expected {}", Quote(entry.key), KeysText(type)));
      } else if (!seen.insert(entry.key).second) {
        Add(entry.key_line, place, "the key stands here a second time; leave one of them out");
      } else if (field->is_repeated()) {
        ReadList(entry, place, message, *field);
      } else {
        ReadField(entry, place, message, *field);
      }
    }
  }

  std::vector<YamlProblem> TakeProblems() { return std::move(problems_); }

 private:
  void ReadList(const YamlNode& list, const std::string& path, Message& message, const FieldDescriptor& field) {
    if (list.kind != YamlNode::Kind::kList) return Wrong(list, path, "a list ([] for an empty one)");
    const auto& reflection = *message.GetReflection();
    for (size_t i = 0; i < list.children.size(); ++i) {
      const YamlNode& item = list.children[i];
      const std::string place = fmt::format("{}[{}]", path, i);
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        ReadMap(item, place, *reflection.AddMessage(&message, &field));
      } else if (item.kind != YamlNode::Kind::kScalar) {
        Wrong(item, place, "text");
      } else {
        reflection.AddString(&message, &field, item.text);
      }
    }
  }

  void ReadField(const YamlNode& value, const std::string& path, Message& message, const FieldDescriptor& field) {
    const auto& reflection = *message.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return ReadMap(value, path, *reflection.MutableMessage(&message, &field));
    }
    const bool scalar = value.kind == YamlNode::Kind::kScalar;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (!scalar || value.text.empty()) return Wrong(value, path, "text");
        return reflection.SetString(&message, &field, value.text);
      case FieldDescriptor::CPPTYPE_UINT32: {
        const auto number = ParseDecimal(value.text, std::numeric_limits<uint32_t>::max());
        if (!scalar || value.quoted || !number) {
          return Wrong(value, path, "a whole number, in decimal digits and without quotes");
        }
        return reflection.SetUInt32(&message, &field, *number);
      }
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        const auto number = ParseNumber(value.text);
        if (!scalar || value.quoted || !number) {
          return Wrong(value, path, "a number such as 2 or 0.5, in decimal digits and without quotes");
        }
        return reflection.SetDouble(&message, &field, *number);
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        if (!scalar || value.quoted || (value.text != "true" && value.text != "false")) {
          return Wrong(value, path, "true or false, without quotes");
        }
        return reflection.SetBool(&message, &field, value.text == "true");
      case FieldDescriptor::CPPTYPE_ENUM:
        for (const auto* choice : EnumChoices(*field.enum_type())) {
          if (scalar && value.text == EnumText(*choice)) return reflection.SetEnum(&message, &field, choice);
        }
        return Wrong(value, path, EnumChoicesText(*field.enum_type()));
      default:
        return Wrong(value, path, fmt::format("no value: {} has no form in YAML", field.type_name()));
    }
  }

  void Wrong(const YamlNode& node, const std::string& path, const std::string& expected) {
    const uint32_t line = node.key_line != 0 ? node.key_line : node.line;
    problems_.push_back({line, path, fmt::format("expected {}, found {}", expected, FoundText(node)), true});
  }
  void Add(uint32_t line, const std::string& path, std::string message) {
    problems_.push_back({line, path, std::move(message)});
  }

  std::vector<YamlProblem> problems_;
};

// A YAML double-quoted scalar.
std::string QuotedScalar(const std::string& text) {
  std::string quoted = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') quoted += '\\';
    if (static_cast<uint8_t>(character) < 0x20 || character == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<uint8_t>(character));
    } else {
      quoted += character;
    }
  }
  return quoted + '"';
}

std::string ListText(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  std::string text;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    text += (i == 0 ? "" : ", ") + QuotedScalar(reflection.GetRepeatedString(message, &field, i));
  }
  return fmt::format("[ {} ]", text);
}

// What stands behind the key of a field that is no message and no list of messages.
std::string ValueText(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  if (field.is_repeated()) return ListText(message, field);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberText(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(*reflection.GetEnum(message, &field));
    default:
      return QuotedScalar(reflection.GetString(message, &field));
  }
}

std::vector<const FieldDescriptor*> SetFields(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  std::ranges::sort(fields, {}, &FieldDescriptor::index);
  return fields;
}

// Whether a message of this type is written on one line: it holds no messages.
bool IsFlat(const Descriptor& type) {
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return false;
  }
  return true;
}

std::string FlowText(const Message& message) {
  std::string text;
  for (const auto* field : SetFields(message)) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", field->name(), ValueText(message, *field));
  }
  return text.empty() ? "{}" : fmt::format("{{ {} }}", text);
}

void WriteBlock(const Message& message, const std::string& indent, std::string& out);

// One entry of a list: "- " and the message, whose further lines stand below its first key.
void WriteItem(const Message& item, const std::string& indent, std::string& out) {
  if (IsFlat(*item.GetDescriptor()) || SetFields(item).empty()) {
    out += fmt::format("{}- {}\n", indent, FlowText(item));
    return;
  }
  std::string block;
  WriteBlock(item, indent + "  ", block);
  block.replace(indent.size(), 2, "- ");
  out += block;
}

void WriteBlock(const Message& message, const std::string& indent, std::string& out) {
  const auto& reflection = *message.GetReflection();
  for (const auto* field : SetFields(message)) {
    out += fmt::format("{}{}:", indent, field->name());
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      out += fmt::format(" {}\n", ValueText(message, *field));
    } else if (field->is_repeated()) {
      out += '\n';
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        WriteItem(reflection.GetRepeatedMessage(message, field, i), indent + "  ", out);
      }
    } else if (const Message& inner = reflection.GetMessage(message, field); IsFlat(*inner.GetDescriptor())) {
      out += fmt::format(" {}\n", FlowText(inner));
    } else {
      out += '\n';
      WriteBlock(inner, indent + "  ", out);
    }
  }
}

}  // namespace

std::vector<YamlProblem> FillFromYaml(const YamlNode& root, google::protobuf::Message& message) {
  Reader reader;
  reader.ReadMap(root, "", message);
  return reader.TakeProblems();
}

std::string YamlFromProto(const google::protobuf::Message& message) {
  std::string text;
  WriteBlock(message, "", text);
  return text;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
// YAML to a protobuf message and back, by the message's own description: a key of the file is a field of the schema,
// so a new field needs no code here if it is text, a uint32, a double, a bool, an enum, a message, a list of texts or a
// list of messages. Used by store_yaml.cc. Not here: what the fields mean (config_proto.h, validate.h).
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "userspace/model/yaml_tree.h"

namespace shunt {

// Fills `message` as far as the tree fits it and returns everything that does not: unknown and repeated keys, values
// of a wrong type. An enum's value is its name in lower case without the type, e.g. `all` for TRACKING_ALL.
std::vector<YamlProblem> FillFromYaml(const YamlNode& root, google::protobuf::Message& message);

// Fields in the order in which the schema has them, only those that are set. A message of scalars and texts takes one
// line: { key: value, key: [ "text", … ], … }.
std::string YamlFromProto(const google::protobuf::Message& message);

}  // namespace shunt

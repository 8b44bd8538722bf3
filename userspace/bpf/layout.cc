// SPDX-License-Identifier: Apache-2.0
// The layout is written out as text, a line for each map, and the text is hashed.
#include "userspace/bpf/layout.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "userspace/base/digest.h"

namespace shunt {
namespace {

void Describe(const btf* types, uint32_t id, std::string& text);

void DescribeFields(const btf* types, const btf_type* type, std::string& text) {
  const btf_member* members = btf_members(type);
  for (uint32_t i = 0; i < btf_vlen(type); ++i) {
    fmt::format_to(std::back_inserter(text), " {}@{}:", btf__name_by_offset(types, members[i].name_off),
                   btf_member_bit_offset(type, i));
    Describe(types, members[i].type, text);
  }
}

// Map values hold no pointers, so this ends.
void Describe(const btf* types, uint32_t id, std::string& text) {
  const int resolved = btf__resolve_type(types, id);
  const btf_type* type = resolved < 0 ? nullptr : btf__type_by_id(types, static_cast<uint32_t>(resolved));
  if (!type) {
    text += '?';
  } else if (btf_is_array(type)) {
    fmt::format_to(std::back_inserter(text), "[{}]", btf_array(type)->nelems);
    Describe(types, btf_array(type)->type, text);
  } else if (btf_is_composite(type)) {
    fmt::format_to(std::back_inserter(text), "{}{}{{", btf_is_union(type) ? 'u' : 's', type->size);
    DescribeFields(types, type, text);
    text += '}';
  } else {
    fmt::format_to(std::back_inserter(text), "i{}", type->size);
  }
}

std::string ShapeText(const MapShape& shape) {
  return fmt::format("type {} key {} value {} flags {:#x}", shape.type, shape.key_bytes, shape.value_bytes,
                     shape.flags);
}

}  // namespace

Result<std::string> LayoutDigest(const Object& object) {
  const btf* types = bpf_object__btf(object.raw());
  std::vector<std::string> names = object.MapNames();
  std::ranges::sort(names);
  std::string text;
  for (const std::string& name : names) {
    auto shape = object.Shape(name);
    if (!shape) return std::unexpected(shape.error());
    text += name + ' ' + ShapeText(*shape) + ' ';
    if (auto inner = object.InnerShape(name)) text += "of " + ShapeText(*inner) + ' ';
    const bpf_map* map = bpf_object__find_map_by_name(object.raw(), name.c_str());
    for (const uint32_t id : {bpf_map__btf_key_type_id(map), bpf_map__btf_value_type_id(map)})
      if (id != 0) Describe(types, id, text);
    text += '\n';
  }
  return fmt::format("{:016x}", Digest(text));
}

}  // namespace shunt

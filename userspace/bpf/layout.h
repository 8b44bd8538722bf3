// SPDX-License-Identifier: Apache-2.0
// The layout digest of an object's maps: what two programs must share to work on the same maps. Equal digests: the same
// maps of the same kinds, with keys and values of the same fields at the same places. How many entries a map has is no
// part of it. Called by userspace/dataplane to name its pins; any thread.
#pragma once

#include <string>

#include "userspace/bpf/object.h"

namespace shunt {

// 16 hexadecimal digits. From the object's BTF: names, kinds, sizes and offsets of fields. The compiler's choices of
// other kinds (qualifiers, typedefs) do not count.
Result<std::string> LayoutDigest(const Object& object);

}  // namespace shunt

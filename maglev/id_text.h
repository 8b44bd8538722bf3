// SPDX-License-Identifier: Apache-2.0
//
// A real's id as people write it, for error messages. Nothing here parses.
// Called by ring.cc; pure, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace shunt::maglev {

// "10.0.0.11" for a v4-mapped id, else IPv6 as RFC 5952 writes it.
std::string IdText(const std::array<uint8_t, 16>& id);

}  // namespace shunt::maglev

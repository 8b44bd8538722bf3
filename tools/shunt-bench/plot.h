// SPDX-License-Identifier: Apache-2.0
// Curves as an SVG drawing, without any library: cost against the number of flows, which grows by powers of ten. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/shunt-bench/report.h"

namespace shunt::bench {

// A curve of one point is drawn as a line across: a reference that does not depend on flows.
std::string DrawSvg(std::string_view title, std::string_view unit, const std::vector<Curve>& curves);

}  // namespace shunt::bench

// SPDX-License-Identifier: Apache-2.0
// What tracking promises, under random histories in which reals also go down, come up again and panic: as long as the
// real that a flow first went to serves, and the flow is not silent for longer than its time, every packet of it goes
// there.
#include <catch2/catch.hpp>

#include "tests/unit/tracking_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

void CheckUnbroken(WorldOptions options, uint32_t runs) {
  const uint32_t first_seed = options.seed;
  WorldResult sum;
  for (uint32_t run = 0; run < runs; ++run) {
    options.seed = first_seed + run;
    const WorldResult result = RunWorld(options);
    CAPTURE(options.seed, result.flows, result.changes, result.refused);
    CHECK(result.broken == std::vector<std::string>());
    sum.flows += result.flows;
    sum.refused += result.refused;
    sum.changes += result.changes;
    sum.settled += result.settled;
  }
  // A history in which nothing happens proves nothing.
  CHECK(sum.flows > 2000 * runs);
  CHECK(sum.changes > 20 * runs);
  CHECK(sum.settled > options.ring_size * runs);
  if (options.flood_per_second > 0 || options.entries_per_second != UINT32_MAX) CHECK(sum.refused > 100 * runs);
}

}  // namespace

TEST_CASE("No flow is sent to another real while its first one serves, whatever becomes of the others") {
  const auto traffic = GENERATE(Load::kTcp, Load::kUdp, Load::kQuic);
  CheckUnbroken({.traffic = traffic, .seed = 1}, 3);
  CheckUnbroken({.traffic = traffic, .seed = 11, .ring_size = 13, .idle_seconds = 6}, 2);
  CheckUnbroken({.traffic = traffic, .seed = 21, .ring_size = 503, .idle_seconds = 50}, 1);
}

TEST_CASE("No flow is sent to another real though the flow table is full or its allowance is used up") {
  const auto traffic = GENERATE(Load::kTcp, Load::kUdp, Load::kQuic);
  CheckUnbroken({.traffic = traffic, .seed = 31, .max_flows = 60}, 3);
  CheckUnbroken({.traffic = traffic, .seed = 41, .max_flows = 2000, .flood_per_second = 400}, 3);
  CheckUnbroken({.traffic = traffic, .seed = 51, .entries_per_second = 12, .flood_per_second = 20}, 3);
}

TEST_CASE("No flow is sent to another real though a pass over the flow table takes longer than slots need to settle") {
  const auto traffic = GENERATE(Load::kTcp, Load::kUdp, Load::kQuic);
  CheckUnbroken({.traffic = traffic, .seed = 71, .max_flows = 200000}, 2);
}

TEST_CASE("No flow is sent to another real when tracking changes from all to moving") {
  const auto traffic = GENERATE(Load::kTcp, Load::kUdp, Load::kQuic);
  CheckUnbroken({.traffic = traffic, .seed = 61, .begins_with_all = true}, 3);
}

// SPDX-License-Identifier: Apache-2.0
// When traffic counts as gone.
#include "userspace/control/traffic_watch.h"

#include <catch2/catch.hpp>

#include "userspace/dataplane/verdict.h"

using namespace shunt;  // NOLINT: the tests read like the code

namespace {

using std::chrono::seconds;

constexpr SteadyTime kStart = SteadyTime() + seconds(1000);

}  // namespace

TEST_CASE("Packets for VIPs are all that were not left to the host, dropped ones too") {
  std::vector<VerdictCount> counts;
  uint64_t wanted = 0;
  for (const VerdictInfo& verdict : AllVerdicts()) {
    counts.push_back({.verdict = verdict.number, .packets = 10, .bytes = 1000});
    if (!verdict.name.starts_with("PASS_")) wanted += 10;
  }
  CHECK(wanted > 0);
  CHECK(PacketsForVips(counts) == wanted);
}

TEST_CASE("Traffic is gone when no packet has come for three seconds, and not sooner") {
  TrafficWatch watch;
  CHECK_FALSE(watch.gone());
  watch.Note(100, kStart);
  watch.Note(100, kStart + seconds(2));
  CHECK_FALSE(watch.gone());
  watch.Note(101, kStart + seconds(3));
  CHECK_FALSE(watch.gone());
  watch.Note(101, kStart + seconds(5));
  CHECK_FALSE(watch.gone());
  watch.Note(101, kStart + seconds(6));
  CHECK(watch.gone());
  watch.Note(102, kStart + seconds(7));
  CHECK_FALSE(watch.gone());
}

TEST_CASE("How many packets still come is that of the last two counts") {
  TrafficWatch watch;
  watch.Note(100, kStart);
  CHECK(watch.packets_per_second() == 0);
  watch.Note(1100, kStart + seconds(2));
  CHECK(watch.packets_per_second() == 500);
  watch.Note(1100, kStart + seconds(3));
  CHECK(watch.packets_per_second() == 0);
  watch.Note(0, kStart + seconds(4));  // counters that begin anew are packets that came, nobody knows how many
  CHECK(watch.packets_per_second() == 0);
  CHECK_FALSE(watch.gone());
}

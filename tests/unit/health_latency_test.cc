// SPDX-License-Identifier: Apache-2.0
// Latency and lateness against slow references that keep and sort everything.
#include "userspace/health/latency.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "userspace/health/lateness.h"
#include "userspace/health/short_us.h"

using namespace shunt;  // NOLINT: the tests read like the code

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The smallest number that `percent` of the numbers do not exceed.
uint32_t Percentile(std::vector<uint32_t> numbers, size_t percent) {
  std::ranges::sort(numbers);
  return numbers[(numbers.size() * percent + 99) / 100 - 1];
}

// From a microsecond to minutes, all magnitudes alike.
uint32_t AnyUs(std::mt19937& random) {
  return static_cast<uint32_t>(std::exp2(std::uniform_real_distribution(0.0, 27.0)(random)));
}

void CheckClose(uint32_t got, uint32_t wanted, uint32_t part) {
  INFO(got << " instead of " << wanted);
  CHECK(got <= wanted);
  CHECK(got >= wanted - wanted / part);
}

}  // namespace

TEST_CASE("Shortened microseconds keep their order and come back nearly as they were") {
  uint16_t last = 0;
  for (uint64_t us = 0; us <= UINT32_MAX; us += 1 + us / 3000) {
    const uint16_t shortened = ShortenUs<11>(static_cast<uint32_t>(us));
    const uint32_t back = LengthenUs<11>(shortened);
    const bool close = back <= us && us - back <= us / 2048 && (us >= 4096 || back == us);
    if (shortened < last || !close) FAIL(us << " came back as " << back);
    last = shortened;
  }
  CHECK(LengthenUs<4>(ShortenUs<4>(UINT32_MAX)) >= UINT32_MAX - UINT32_MAX / 16);
}

TEST_CASE("Nothing measured has no figures") { CHECK(Latency().figures() == LatencyFigures{}); }

TEST_CASE("One probe is its own average and percentiles") {
  Latency latency;
  latency.Note(1234);
  CHECK(latency.figures() ==
        LatencyFigures{.last_us = 1234, .average_us = 1234, .p50_us = 1234, .p90_us = 1234, .p99_us = 1234});
}

TEST_CASE("Percentiles are those of the last 128 probes, and the average leans towards the newest") {
  std::mt19937 random(7);
  Latency latency;
  std::vector<uint32_t> all;
  double average = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint32_t us = AnyUs(random);
    latency.Note(us);
    all.push_back(us);
    average = i == 0 ? us : average + (us - average) / 8;
    const std::vector<uint32_t> kept(all.end() - std::min<std::ptrdiff_t>(128, std::ssize(all)), all.end());
    const LatencyFigures figures = latency.figures();
    CHECK(figures.last_us == us);
    CheckClose(figures.p50_us, Percentile(kept, 50), 2048);
    CheckClose(figures.p90_us, Percentile(kept, 90), 2048);
    CheckClose(figures.p99_us, Percentile(kept, 99), 2048);
    CHECK(figures.average_us == Approx(average).epsilon(0.001).margin(1));
  }
}

TEST_CASE("A target's latency is small") { CHECK(sizeof(Latency) <= 272); }

TEST_CASE("Lateness is that of the last ten seconds, and forgotten after") {
  std::mt19937 random(8);
  Lateness lateness;
  std::vector<uint32_t> all;
  const SteadyTime start{seconds(100)};
  for (int i = 0; i < 9000; ++i) {
    const uint32_t us = AnyUs(random);
    lateness.Note(microseconds(us), start + milliseconds(i));
    all.push_back(us);
  }
  const LatenessFigures figures = lateness.Figures(start + seconds(9));
  CheckClose(figures.p50_us, Percentile(all, 50), 16);
  CheckClose(figures.p99_us, Percentile(all, 99), 16);
  CHECK(figures.max_us == std::ranges::max(all));
  // Half of it is ten seconds ago.
  const LatenessFigures later = lateness.Figures(start + seconds(14));
  const std::vector<uint32_t> second_half(all.begin() + 5000, all.end());
  CheckClose(later.p50_us, Percentile(second_half, 50), 16);
  CHECK(later.max_us == std::ranges::max(second_half));
  CHECK(lateness.Figures(start + seconds(20)).max_us == 0);
  // What is noted now takes the place of what was noted ten seconds before.
  lateness.Note(microseconds(5), start + seconds(20));
  CHECK(lateness.Figures(start + seconds(20)).max_us == 5);
  CHECK(lateness.Figures(start + seconds(20)).p50_us == 5);
}

TEST_CASE("A probe that starts before its time is not late") {
  Lateness lateness;
  lateness.Note(microseconds(-3), SteadyTime(seconds(1)));
  CHECK(lateness.Figures(SteadyTime(seconds(1))).max_us == 0);
}

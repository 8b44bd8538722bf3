// SPDX-License-Identifier: Apache-2.0
//
// maglev-report: prints the tables of maglev/README.md, as markdown on stdout, progress on stderr. It compares Shunt's
// rings with the Maglev paper's, transcribed plainly in tests/unit/maglev_paper.h. A program of one thread; nothing
// calls it but people.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <vector>

#include "maglev/ring.h"
#include "maglev/walk.h"
#include "tests/unit/maglev_paper.h"

namespace shunt::maglev {
namespace {

using Ring = std::vector<uint16_t>;
using Reals = std::vector<Real>;

constexpr uint32_t kRingSizes[] = {65537, 655373};
constexpr uint32_t kCounts[] = {10, 100, 1000, 10000};
constexpr bool kWeighted[] = {false, true};

// 10.x.y.z, with weights 10, or 1 to 16.
Reals MakeReals(uint32_t count, bool weighted, uint32_t trial) {
  Reals reals;
  for (uint32_t i = 0; i < count; ++i) {
    Real real{};
    real.id = {0,
               0,
               0,
               0,
               0,
               0,
               0,
               0,
               0,
               0,
               0xff,
               0xff,
               10,
               static_cast<uint8_t>(trial),
               static_cast<uint8_t>(i >> 8),
               static_cast<uint8_t>(i)};
    real.weight = weighted ? 1 + static_cast<uint32_t>(Mix(i + 1000 * trial + 1) % 16) : 10;
    reals.push_back(real);
  }
  return reals;
}

Ring Build(bool paper, const Reals& reals, uint32_t ring_size) {
  if (paper) return BuildPaperRing(reals, ring_size);
  auto ring = BuildRing(reals, ring_size);
  if (ring) return *std::move(ring);
  std::fprintf(stderr, "maglev-report: building a ring: %s\n", ring.error().c_str());
  std::exit(1);
}

const char* Kind(bool weighted) { return weighted ? "1 to 16" : "equal"; }

std::vector<double> Shares(const Reals& reals) {
  double sum = 0;
  for (const Real& real : reals) sum += real.weight;
  std::vector<double> shares;
  for (const Real& real : reals) shares.push_back(real.weight / sum);
  return shares;
}

struct Balance {
  double furthest = 0;     // from the exact share, in slots
  double most_loaded = 0;  // slots over exact share, the largest quotient
};

Balance MeasureBalance(bool paper, const Reals& reals, uint32_t ring_size) {
  std::vector<uint32_t> slots(reals.size());
  for (const uint16_t owner : Build(paper, reals, ring_size)) ++slots[owner];
  const std::vector<double> shares = Shares(reals);
  Balance balance;
  for (size_t i = 0; i < reals.size(); ++i) {
    const double exact = shares[i] * ring_size;
    balance.furthest = std::max(balance.furthest, std::abs(slots[i] - exact));
    balance.most_loaded = std::max(balance.most_loaded, slots[i] / exact);
  }
  return balance;
}

void PrintBalance() {
  std::puts(
      "| slots | reals | weights | furthest from exact, in slots: Shunt | paper "
      "| most loaded / exact: Shunt | paper |");
  std::puts("| ---: | ---: | --- | ---: | ---: | ---: | ---: |");
  for (const uint32_t ring_size : kRingSizes) {
    for (const uint32_t count : kCounts) {
      for (const bool weighted : kWeighted) {
        const Reals reals = MakeReals(count, weighted, 0);
        const Balance ours = MeasureBalance(false, reals, ring_size);
        const Balance paper = MeasureBalance(true, reals, ring_size);
        std::printf("| %u | %u | %s | %.2f | %.2f | %.4f | %.4f |\n", ring_size, count, Kind(weighted), ours.furthest,
                    paper.furthest, ours.most_loaded, paper.most_loaded);
      }
    }
  }
}

// A change sets some weights; weight 0 stands for a real that is gone, so that positions stay comparable.
struct Change {
  const char* name;
  std::function<void(Reals&)> apply;
};

struct Disruption {
  double must = 0;  // per cent of the ring
  double moved = 0;
};

Disruption MeasureDisruption(bool paper, uint32_t count, bool weighted, uint32_t ring_size, uint32_t trials,
                             const Change& change) {
  Disruption mean;
  for (uint32_t trial = 0; trial < trials; ++trial) {
    Reals reals = MakeReals(count, weighted, trial);
    const Ring before = Build(paper, reals, ring_size);
    const std::vector<double> shares_before = Shares(reals);
    change.apply(reals);
    const Ring after = Build(paper, reals, ring_size);
    const std::vector<double> shares_after = Shares(reals);
    for (size_t i = 0; i < reals.size(); ++i) {
      mean.must += 100 * std::max(0.0, shares_before[i] - shares_after[i]) / trials;
    }
    uint32_t moved = 0;
    for (size_t slot = 0; slot < before.size(); ++slot) moved += before[slot] != after[slot];
    mean.moved += 100.0 * moved / ring_size / trials;
  }
  return mean;
}

void PrintDisruptionRow(uint32_t ring_size, uint32_t count, bool weighted, const Change& change) {
  const uint32_t trials = 8;
  std::fprintf(stderr, "disruption: %u slots, %u reals, weights %s, %s\n", ring_size, count, Kind(weighted),
               change.name);
  const Disruption ours = MeasureDisruption(false, count, weighted, ring_size, trials, change);
  const Disruption paper = MeasureDisruption(true, count, weighted, ring_size, trials, change);
  std::printf("| %u | %u | %s | %s | %.3f %% | %.3f %% | %.3f %% | %.2f | %.2f |\n", ring_size, count, Kind(weighted),
              change.name, ours.must, ours.moved - ours.must, paper.moved - paper.must, ours.moved / ours.must,
              paper.moved / paper.must);
}

void PrintDisruption() {
  // The real in the middle changes. Adding a real is removing it, seen backwards: the same slots move.
  const Change changes[] = {
      {"one removed or added", [](Reals& reals) { reals[reals.size() / 2].weight = 0; }},
      {"one weight doubled", [](Reals& reals) { reals[reals.size() / 2].weight *= 2; }},
  };
  const Change tenth = {"every 10th removed", [](Reals& reals) {
                          for (size_t i = 0; i < reals.size(); i += 10) reals[i].weight = 0;
                        }};
  const Change hundredth = {"every 100th removed", [](Reals& reals) {
                              for (size_t i = 0; i < reals.size(); i += 100) reals[i].weight = 0;
                            }};
  std::puts(
      "| slots | reals | weights | change | must move | more than must: Shunt | paper "
      "| moved / must: Shunt | paper |");
  std::puts("| ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |");
  for (const uint32_t ring_size : kRingSizes) {
    for (const uint32_t count : kCounts) {
      for (const bool weighted : kWeighted) {
        for (const Change& change : changes) PrintDisruptionRow(ring_size, count, weighted, change);
      }
    }
    PrintDisruptionRow(ring_size, 1000, false, hundredth);
    PrintDisruptionRow(ring_size, 1000, false, tenth);
  }
}

double BuildMs(bool paper, const Reals& reals, uint32_t ring_size) {
  const auto start = std::chrono::steady_clock::now();
  const Ring ring = Build(paper, reals, ring_size);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void PrintTimes(uint32_t rounds) {
  std::puts(
      "| slots | reals | weights | Shunt, ms: min / median / max | paper, ms: min / median / max "
      "| paper / Shunt |");
  std::puts("| ---: | ---: | --- | ---: | ---: | ---: |");
  for (const uint32_t ring_size : kRingSizes) {
    for (const uint32_t count : kCounts) {
      for (const bool weighted : kWeighted) {
        std::fprintf(stderr, "build time: %u slots, %u reals, weights %s\n", ring_size, count, Kind(weighted));
        const Reals reals = MakeReals(count, weighted, 0);
        std::vector<double> ours;
        std::vector<double> paper;
        for (uint32_t round = 0; round < rounds; ++round) {  // in turn, so that both see the same machine
          paper.push_back(BuildMs(true, reals, ring_size));
          ours.push_back(BuildMs(false, reals, ring_size));
        }
        std::sort(ours.begin(), ours.end());
        std::sort(paper.begin(), paper.end());
        const size_t middle = rounds / 2;
        std::printf("| %u | %u | %s | %.2f / %.2f / %.2f | %.2f / %.2f / %.2f | %.2f |\n", ring_size, count,
                    Kind(weighted), ours.front(), ours[middle], ours.back(), paper.front(), paper[middle], paper.back(),
                    paper[middle] / ours[middle]);
      }
    }
  }
}

int Usage(std::FILE* out, int status) {
  std::fputs(
      "usage: maglev-report [--rounds=N]\n"
      "Prints balance, disruption and build time of Shunt's rings and of the Maglev paper's, as markdown tables.\n"
      "  --rounds=N   builds timed for each row, 1 to 1000; 21 if not given\n"
      "example: maglev-report --rounds=51 > tables.md\n",
      out);
  return status;
}

int Main(int argc, char** argv) {
  constexpr std::string_view kRounds = "--rounds=";
  uint32_t rounds = 21;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") return Usage(stdout, 0);
    if (!argument.starts_with(kRounds)) return Usage(stderr, 2);
    const std::string_view number = argument.substr(kRounds.size());
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), rounds);
    if (error != std::errc{} || end != number.data() + number.size() || rounds < 1 || rounds > 1000) {
      return Usage(stderr, 2);
    }
  }
  std::puts("### Balance\n");
  PrintBalance();
  std::puts("\n### Disruption\n");
  PrintDisruption();
  std::puts("\n### Build time\n");
  PrintTimes(rounds);
  return 0;
}

}  // namespace
}  // namespace shunt::maglev

int main(int argc, char** argv) { return shunt::maglev::Main(argc, argv); }

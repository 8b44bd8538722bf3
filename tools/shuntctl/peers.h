// SPDX-License-Identifier: Apache-2.0
// Comparing balancers of the same VIPs: which VIP differs, on whom, and in what. Pure. Not here: asking them
// (status.cc).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/shuntctl/json.h"
#include "userspace/rpc/shunt.pb.h"

namespace shunt::ctl {

// Of one VIP on one peer, against ours; in the order of how much it matters.
enum class Difference : uint8_t { kNone, kMissing, kOnlyThere, kSettings, kRing };

struct PeerAnswer {
  std::string name;     // HOST:PORT
  std::string problem;  // it did not answer; empty: it did
  v1::Digests digests;
};

struct VipComparison {
  std::string vip;
  std::vector<Difference> peers;  // in their order; kNone of those that did not answer
};
struct Comparison {
  std::vector<VipComparison> vips;
  std::vector<bool> other_key;  // by peer: its hash key is another, so that all flows differ
  bool differs() const;         // anything, or a peer did not answer
  bool unanswered = false;
};
Comparison Compare(const v1::Digests& own, const std::vector<PeerAnswer>& peers);

// The settings that differ, as lines of Diff() from here to there.
std::vector<std::string> SettingsLines(const std::string& vip, const v1::Config& here, const v1::Config& there);
// The reals of a VIP whose part of the ring differs, and why as far as it shows, as lines.
std::vector<std::string> RingLines(const std::string& vip, const v1::State& here, const v1::State& there);

std::string FormatComparison(const v1::Digests& own, const std::vector<PeerAnswer>& peers, const Comparison& comparison,
                             bool colour);
Json ToJson(const v1::Digests& own, const std::vector<PeerAnswer>& peers, const Comparison& comparison);

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "tools/shuntctl/table.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/diff.h"

namespace shunt::ctl {
namespace {

using DigestsByVip = std::map<std::string, const v1::VipDigest*>;

DigestsByVip ByVip(const v1::Digests& digests) {
  DigestsByVip by_vip;
  for (const v1::VipDigest& vip : digests.vips()) by_vip[vip.vip()] = &vip;
  return by_vip;
}

Difference CompareVip(const v1::VipDigest* here, const v1::VipDigest* there) {
  if (there == nullptr) return Difference::kMissing;
  if (here == nullptr) return Difference::kOnlyThere;
  if (here->settings() != there->settings()) return Difference::kSettings;
  return here->ring() != there->ring() ? Difference::kRing : Difference::kNone;
}

const char* Words(Difference difference) {
  switch (difference) {
    case Difference::kNone:
      return "same";
    case Difference::kMissing:
      return "missing";
    case Difference::kOnlyThere:
      return "only there";
    case Difference::kSettings:
      return "settings differ";
    case Difference::kRing:
      return "ring differs";
  }
  return "";
}

std::string Hex(uint64_t digest) { return fmt::format("{:016x}", digest); }

// What concerns one VIP: itself, and what is said of all.
DesiredState PartOf(const v1::Config& config, const std::string& vip) {
  DesiredState state;
  static_cast<void>(FromProto(config, state));  // of a daemon, which validated it
  state.hash_key = {};                          // shown to admins alone; its id is compared
  state.host.reset();
  std::erase_if(state.vips, [&](const auto& entry) { return entry.first.ToString() != vip; });
  return state;
}

const v1::VipState* Find(const v1::State& state, const std::string& vip) {
  const auto found = std::ranges::find(state.vips(), vip, [](const v1::VipState& row) { return row.vip(); });
  return found == state.vips().end() ? nullptr : &*found;
}

std::string RealWords(const v1::RealStatus* real) {
  if (real == nullptr) return "not there";
  std::string words = fmt::format("{}, {} slots", real->health(), real->slots());
  if (real->has_climb_percent()) words += fmt::format(", climbing at {} %", real->climb_percent());
  return words;
}

}  // namespace

bool Comparison::differs() const {
  const auto is_other = [](const VipComparison& vip) {
    return std::ranges::any_of(vip.peers, [](Difference difference) { return difference != Difference::kNone; });
  };
  return unanswered || std::ranges::find(other_key, true) != other_key.end() || std::ranges::any_of(vips, is_other);
}

Comparison Compare(const v1::Digests& own, const std::vector<PeerAnswer>& peers) {
  const DigestsByVip here = ByVip(own);
  std::set<std::string> names;
  for (const auto& [name, digest] : here) names.insert(name);
  std::vector<DigestsByVip> theirs;
  Comparison comparison;
  for (const PeerAnswer& peer : peers) {
    theirs.push_back(ByVip(peer.digests));
    for (const auto& [name, digest] : theirs.back()) names.insert(name);
    const bool answered = peer.problem.empty();
    comparison.unanswered = comparison.unanswered || !answered;
    comparison.other_key.push_back(answered && peer.digests.hash_key_id() != own.hash_key_id());
  }
  const auto find = [](const DigestsByVip& digests, const std::string& name) {
    const auto found = digests.find(name);
    return found == digests.end() ? nullptr : found->second;
  };
  for (const std::string& name : names) {
    VipComparison vip{.vip = name, .peers = {}};
    for (size_t i = 0; i < peers.size(); ++i) {
      const auto *ours = find(here, name), *other = find(theirs[i], name);
      const bool is_asked = peers[i].problem.empty() && (ours != nullptr || other != nullptr);
      vip.peers.push_back(is_asked ? CompareVip(ours, other) : Difference::kNone);
    }
    comparison.vips.push_back(std::move(vip));
  }
  return comparison;
}

std::vector<std::string> SettingsLines(const std::string& vip, const v1::Config& here, const v1::Config& there) {
  return Diff(PartOf(here, vip), PartOf(there, vip));
}

std::vector<std::string> RingLines(const std::string& vip, const v1::State& here, const v1::State& there) {
  std::map<std::string, std::pair<const v1::RealStatus*, const v1::RealStatus*>> reals;
  if (const auto* state = Find(here, vip)) {
    for (const v1::RealStatus& real : state->reals()) reals[real.address()].first = &real;
  }
  if (const auto* state = Find(there, vip)) {
    for (const v1::RealStatus& real : state->reals()) reals[real.address()].second = &real;
  }
  std::vector<std::string> lines;
  for (const auto& [address, both] : reals) {
    const std::string ours = RealWords(both.first), theirs = RealWords(both.second);
    if (ours != theirs) lines.push_back(fmt::format("real {}: {} here; {} there", address, ours, theirs));
  }
  return lines;
}

std::string FormatComparison(const v1::Digests& own, const std::vector<PeerAnswer>& peers, const Comparison& comparison,
                             bool colour) {
  std::vector<Table::Column> columns = {{"VIP"}, {"RING"}, {"SETTINGS"}, {"MOVING SLOTS", Table::Align::kRight}};
  for (const PeerAnswer& peer : peers) columns.push_back({peer.name});
  Table table(columns);
  const DigestsByVip here = ByVip(own);
  for (const VipComparison& vip : comparison.vips) {
    const auto found = here.find(vip.vip);
    const bool ours = found != here.end();
    std::vector<Table::Cell> row = {vip.vip, ours ? Hex(found->second->ring()) : "-",
                                    ours ? Hex(found->second->settings()) : "-",
                                    ours ? std::to_string(found->second->moving_slots()) : "-"};
    for (size_t i = 0; i < peers.size(); ++i) {
      const bool answered = peers[i].problem.empty();
      const Difference difference = vip.peers[i];
      row.emplace_back(answered ? Words(difference) : "no answer",
                       answered && difference == Difference::kNone ? Style::kGood : Style::kBad);
    }
    table.Add(std::move(row));
  }
  std::string out =
      fmt::format("hash key id {:08x}, generation {}, {}\n", own.hash_key_id(), own.generation(), own.host());
  if (!table.empty()) out += table.Render(colour);
  for (size_t i = 0; i < peers.size(); ++i) {
    if (!comparison.other_key[i]) continue;
    out += Styled(fmt::format("{}: another hash key (id {:08x}): it sends flows to other reals; give all balancers the "
                              "same hash_key",
                              peers[i].name, peers[i].digests.hash_key_id()),
                  Style::kBad, colour) +
           '\n';
  }
  return out;
}

Json ToJson(const v1::Digests& own, const std::vector<PeerAnswer>& peers, const Comparison& comparison) {
  const DigestsByVip here = ByVip(own);
  Json vips = Json::array();
  for (const VipComparison& vip : comparison.vips) {
    Json by_peer = Json::object();
    for (size_t i = 0; i < peers.size(); ++i) {
      by_peer[peers[i].name] = peers[i].problem.empty() ? Json(Words(vip.peers[i])) : Json(nullptr);
    }
    const auto found = here.find(vip.vip);
    const bool ours = found != here.end();
    vips.push_back({{"vip", vip.vip},
                    {"ring", ours ? Json(Hex(found->second->ring())) : Json(nullptr)},
                    {"settings", ours ? Json(Hex(found->second->settings())) : Json(nullptr)},
                    {"moving_slots", ours ? Json(found->second->moving_slots()) : Json(nullptr)},
                    {"peers", std::move(by_peer)}});
  }
  Json rows = Json::array();
  for (size_t i = 0; i < peers.size(); ++i) {
    const PeerAnswer& peer = peers[i];
    const bool answered = peer.problem.empty();
    rows.push_back({{"peer", peer.name},
                    {"problem", answered ? Json(nullptr) : Json(peer.problem)},
                    {"host", answered ? Json(peer.digests.host()) : Json(nullptr)},
                    {"generation", answered ? Json(peer.digests.generation()) : Json(nullptr)},
                    {"same_hash_key", answered ? Json(!comparison.other_key[i]) : Json(nullptr)}});
  }
  return {{"hash_key_id", fmt::format("{:08x}", own.hash_key_id())},
          {"generation", own.generation()},
          {"host", own.host()},
          {"vips", std::move(vips)},
          {"peers", std::move(rows)}};
}

}  // namespace shunt::ctl

// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/weights.h"

#include <algorithm>
#include <numeric>

#include "maglev/ring.h"

namespace shunt {
namespace {

static_assert(maglev::kMaxWeight == kMaxWeight * kWholeClimb);

// A real that may take new flows and was judged, or is not checked.
struct Candidate {
  const Real* real;
  RealWeight* out;
  bool is_healthy;
  uint32_t climb;  // in parts of kWholeClimb
};

struct Tally {
  uint64_t total = 0;
  uint64_t healthy = 0;
  void Add(uint64_t weight, bool is_healthy) {
    total += weight;
    healthy += is_healthy ? weight : 0;
  }
};

// How much of the weight is healthy. Canaries count only where there is nothing else: they are a part of the flows, not
// of the capacity.
struct Census {
  Tally share;
  bool backups_join = false;
};

Census Count(const std::vector<Candidate>& candidates, const VipSettings& settings) {
  Tally primaries;
  Tally backups;
  Tally canaries;
  for (const auto& [real, out, is_healthy, climb] : candidates) {
    if (real->canary_tenths) {
      canaries.Add(*real->canary_tenths, is_healthy);
    } else {
      (real->backup ? backups : primaries).Add(real->weight, is_healthy);
    }
  }
  Census census;
  const bool too_few =
      primaries.total == 0 || primaries.healthy * 100 < primaries.total * settings.backup_below_percent;
  census.backups_join = too_few && backups.healthy > 0;
  census.share = primaries.total > 0 ? primaries : backups.total > 0 ? backups : canaries;
  if (primaries.total > 0 && census.backups_join) {
    census.share.healthy = std::min(census.share.total, primaries.healthy + backups.healthy);
  }
  return census;
}

VipMode ModeOf(const Tally& share, const VipSettings& settings) {
  if (share.healthy * 100 >= share.total * settings.panic_percent) return VipMode::kNormal;
  switch (settings.panic_action) {
    case PanicAction::kFailOpen:
      return VipMode::kPanicOpen;
    case PanicAction::kFailClosed:
      return VipMode::kPanicClosed;
    case PanicAction::kWithdraw:
      return VipMode::kWithdrawn;
  }
  return VipMode::kNormal;
}

// The weights of those that take new flows. In integers: every balancer of a VIP has to find the same.
void Distribute(const std::vector<Candidate>& in_use) {
  // A canary's part of all new flows, in millionths.
  constexpr uint64_t kAllFlows = 1000 * 1000;
  uint64_t others = 0;
  uint64_t canaries = 0;
  const auto part = [](const Candidate& c) { return uint64_t{*c.real->canary_tenths} * c.climb / 10; };
  const auto weight = [](const Candidate& c) { return uint64_t{c.real->weight} * c.climb; };
  for (const Candidate& c : in_use)
    (c.real->canary_tenths ? canaries : others) += c.real->canary_tenths ? part(c) : weight(c);

  std::vector<uint64_t> weights;
  for (const Candidate& c : in_use) {
    if (canaries == 0) {
      weights.push_back(weight(c));
    } else if (others == 0) {
      weights.push_back(part(c));
    } else {
      weights.push_back(c.real->canary_tenths ? part(c) * others : weight(c) * (kAllFlows - canaries));
    }
  }
  uint64_t common = 0;
  uint64_t most = 0;
  for (const uint64_t w : weights) {
    common = std::gcd(common, w);
    most = std::max(most, w);
  }
  if (most > maglev::kMaxWeight) {
    for (uint64_t& w : weights) w /= common;
    most /= common;
  }
  const uint64_t divisor = most / maglev::kMaxWeight + (most % maglev::kMaxWeight != 0);
  for (size_t i = 0; i < in_use.size(); ++i) {
    const uint64_t fits = divisor > 1 ? std::max<uint64_t>(weights[i] / divisor, 1) : weights[i];
    in_use[i].out->weight = static_cast<uint32_t>(fits);
  }
}

}  // namespace

bool TakesNewFlows(const Vip& vip, const Real& real) {
  return real.state == RealState::kActive && (real.group.empty() || real.group == vip.active_group) &&
         (real.weight > 0 || real.canary_tenths);
}

VipWeights WeighVip(const VipSettings& settings, const Vip& vip, const std::map<IpAddress, Health>& health,
                    const RealClimbs& climbs, SteadyTime now) {
  VipWeights weights;
  weights.reals.resize(vip.reals.size());
  std::vector<Candidate> candidates;
  std::vector<RealWeight*> judged_down;
  auto out = weights.reals.begin();
  for (const auto& [address, real] : vip.reals) {
    RealWeight& real_weight = *out++;
    const auto known = health.find(address);
    const Health state = known == health.end() ? Health::kUnchecked : known->second;
    real_weight.serves = IsHealthy(state);
    if (state == Health::kDown) judged_down.push_back(&real_weight);
    Candidate candidate{.real = &real, .out = &real_weight, .is_healthy = real_weight.serves, .climb = kWholeClimb};
    if (const auto climb = climbs.find(address); climb != climbs.end()) {
      const ClimbStep step = ClimbAt(settings, climb->second, now);
      candidate.climb = step.factor;
      if (!step.ended()) weights.climbs_on_at = std::min(weights.climbs_on_at.value_or(step.next_at), step.next_at);
    }
    if (state != Health::kUnknown && TakesNewFlows(vip, real)) candidates.push_back(candidate);
  }

  const Census census = Count(candidates, settings);
  weights.mode = ModeOf(census.share, settings);
  if (census.share.total > 0) {
    weights.healthy_percent =
        100.0 * static_cast<double>(census.share.healthy) / static_cast<double>(census.share.total);
  }
  const bool use_all = weights.mode == VipMode::kPanicOpen;
  if (use_all) {
    for (RealWeight* real : judged_down) real->serves = true;
  }
  std::vector<Candidate> in_use;
  for (Candidate& c : candidates) {
    if (!use_all && (!c.is_healthy || (c.real->backup && !census.backups_join))) continue;
    if (use_all) c.climb = kWholeClimb;
    c.out->climb_percent = (c.climb * 100 + kWholeClimb / 2) / kWholeClimb;
    weights.backups_used |= c.real->backup;
    in_use.push_back(c);
  }
  Distribute(in_use);
  return weights;
}

WeightTable WeighVips(const DesiredState& desired, const Liveness& liveness, const Climbs& climbs, SteadyTime now) {
  static const std::map<IpAddress, Health> kUnchecked;
  static const RealClimbs kNoClimbs;
  WeightTable table;
  for (const auto& [key, vip] : desired.vips) {
    const auto health = liveness.find(key);
    const auto climbing = climbs.find(key);
    table.emplace_hint(
        table.end(), key,
        WeighVip(EffectiveSettings(desired, vip), vip, health == liveness.end() ? kUnchecked : health->second,
                 climbing == climbs.end() ? kNoClimbs : climbing->second, now));
  }
  return table;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/sweeper.h"

#include <algorithm>
#include <utility>

namespace shunt {
namespace {

using std::chrono::seconds;

struct LiveVip {
  const PlannedVip* vip;
  SettleTimes times;
};

SettleTimes TimesOf(const DesiredState& desired, const VipKey& key, const PlannedVip& vip) {
  const auto found = desired.vips.find(key);
  const VipSettings settings =
      found == desired.vips.end() ? desired.defaults : EffectiveSettings(desired, found->second);
  return TimesOf(key, settings, vip.entry.quic);
}

bool AllStable(const Plan& plan) {
  return std::ranges::all_of(plan.vips, [](const auto& vip) { return vip.second.unsettled.empty(); });
}

}  // namespace

uint64_t FlowCensus::OfReal(uint32_t vip_id, uint16_t real_index) const {
  const auto found = entries.find(KeyOf(vip_id, real_index));
  return found == entries.end() ? 0 : found->second;
}

std::unordered_map<uint32_t, uint64_t> FlowCensus::OfVips() const {
  std::unordered_map<uint32_t, uint64_t> of_vips;
  for (const auto& [key, count] : entries) of_vips[static_cast<uint32_t>(key >> 16)] += count;
  return of_vips;
}

void Sweeper::NotePlan(SteadyTime now) {
  plan_is_new_ = true;
  next_pass_at_ = last_begun_ + kPassInterval;
  due_at_ = std::min(due_at_, std::max(now, next_pass_at_));
}

Result<SweepStep> Sweeper::Step(const DesiredState& desired, const Plan& plan, SteadyTime now) {
  due_at_ = now + kPassInterval;  // after an error
  const bool looks_at_time = now >= settle_at_;
  if (looks_at_time) {
    if (auto read = ReadRefusals(plan, now); !read) return std::unexpected(read.error());
  }
  if (!pass_ && now >= next_pass_at_) {
    if (auto begun = BeginPass(now); !begun) return std::unexpected(begun.error());
  }
  std::optional<Pass> ended;
  if (pass_) {
    if (auto done = ContinuePass(desired, plan); !done) return std::unexpected(done.error());
    if (pass_->next_place >= dataplane_.flow_places()) ended = std::exchange(pass_, std::nullopt);
  }
  SweepStep step;
  step.ended_pass = ended.has_value();
  if (ended || looks_at_time) step.changes = Settle(desired, plan, now, ended ? &*ended : nullptr);
  if (ended) {
    census_ = std::move(ended->census);
    entries_ = census_.OfVips();
  }
  if (looks_at_time) settle_at_ = now + kPassInterval;
  Reschedule(plan, now);
  return step;
}

void Sweeper::Reschedule(const Plan& plan, SteadyTime now) {
  if (pass_) {
    due_at_ = now + kStepInterval;
    return;
  }
  const bool is_settling = plan_is_new_ || !AllStable(plan);
  next_pass_at_ = last_begun_ + (is_settling ? kPassInterval : kIdlePassInterval);
  due_at_ = is_settling || !entries_.empty() ? next_pass_at_ : SteadyTime::max();
}

// A packet that met the slots, or the reals, as they were before may enter a flow until it has passed.
Status Sweeper::BeginPass(SteadyTime now) {
  if (auto done = dataplane_.Synchronize(); !done) return done;
  pass_.emplace(Pass{.next_place = 0, .census = {.begun = now, .entries = {}}, .results = {}});
  plan_is_new_ = false;
  last_begun_ = now;
  return {};
}

Status Sweeper::ContinuePass(const DesiredState& desired, const Plan& plan) {
  std::unordered_map<uint32_t, LiveVip> live;
  for (const auto& [key, vip] : plan.vips) live.emplace(vip.entry.id, LiveVip{&vip, TimesOf(desired, key, vip)});
  const uint64_t places = std::min(places_per_step_, dataplane_.flow_places() - pass_->next_place);
  const auto entries = dataplane_.ReadFlowEntries(pass_->next_place, places);
  if (!entries) return std::unexpected(entries.error());
  std::vector<FlowRef> drops;
  for (const FlowEntry& entry : *entries) {
    const uint32_t id = entry.flow.vip_id;
    const auto vip = live.find(id);
    const EntryJudgement judgement = vip == live.end()
                                         ? EntryJudgement{.drop = true}
                                         : JudgeEntry(entry, *vip->second.vip, vip->second.times, pass_->census.begun);
    // Even if it is dropped: a packet may touch it first, and then it stays.
    if (judgement.exception) pass_->results[id].exceptions.insert(*judgement.exception);
    if (judgement.drop) {
      drops.push_back(entry.ref);
    } else {
      ++pass_->census.entries[FlowCensus::KeyOf(id, entry.flow.real_index)];
    }
  }
  if (!drops.empty()) {
    if (const auto dropped = dataplane_.DropFlows(drops); !dropped) return std::unexpected(dropped.error());
  }
  pass_->next_place += places;
  return {};
}

std::vector<SlotChanges> Sweeper::Settle(const DesiredState& desired, const Plan& plan, SteadyTime now,
                                         const Pass* ended) const {
  std::vector<SlotChanges> changes;
  for (const auto& [key, vip] : plan.vips) {
    if (vip.unsettled.empty()) continue;
    PassResult result;
    if (ended != nullptr) {
      const auto found = ended->results.find(vip.entry.id);
      if (found != ended->results.end()) result = found->second;
      result.begun = ended->census.begun;
    }
    auto settled = SettleSlots(key, vip,
                               {.times = TimesOf(desired, key, vip),
                                .last_refusal = LastRefusal(vip.entry.id),
                                .now = now,
                                .pass = ended != nullptr ? &result : nullptr});
    if (settled) changes.push_back(*std::move(settled));
  }
  return changes;
}

Status Sweeper::ReadRefusals(const Plan& plan, SteadyTime now) {
  std::vector<uint32_t> ids;
  for (const auto& [key, vip] : plan.vips) ids.push_back(vip.entry.id);
  const auto read = dataplane_.ReadRefusals(ids);
  if (!read) return std::unexpected(read.error());
  refusals_.clear();
  for (size_t i = 0; i < ids.size(); ++i) {
    const Refusals& refusals = (*read)[i];
    KnownRefusals& known = refusals_[ids[i]];
    known.count = refusals.count;
    // Both ends are whole seconds, rounded down: it may be almost a second less.
    if (refusals.seconds_ago) known.last = now - seconds(*refusals.seconds_ago) + seconds(1);
  }
  return {};
}

std::optional<SteadyTime> Sweeper::LastRefusal(uint32_t vip_id) const {
  const auto found = refusals_.find(vip_id);
  return found == refusals_.end() ? std::nullopt : found->second.last;
}

std::map<VipKey, SlotProgress> Sweeper::Progress(const DesiredState& desired, const Plan& plan, SteadyTime now) const {
  std::map<VipKey, SlotProgress> all;
  for (const auto& [key, vip] : plan.vips) {
    SlotProgress progress = ProgressOf(vip, TimesOf(desired, key, vip), LastRefusal(vip.entry.id), now);
    if (const auto found = entries_.find(vip.entry.id); found != entries_.end()) progress.remembered = found->second;
    if (const auto found = refusals_.find(vip.entry.id); found != refusals_.end())
      progress.refused = found->second.count;
    all.emplace_hint(all.end(), key, progress);
  }
  return all;
}

}  // namespace shunt

// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/world.h"

#include <algorithm>

#include "tools/shunt-bench/frames.h"

namespace shunt::bench {
namespace {

constexpr uint32_t kTableFlows = 65536;
constexpr uint64_t kFlood = 10 * uint64_t{kTableFlows};
constexpr double kFloodEndS = 10;
constexpr uint32_t kSettleSeconds = 8;
constexpr double kHandshakeS = 3;                   // so soon a client repeats a SYN, if it does
constexpr uint64_t kStrangers = uint64_t{1} << 31;  // flows of the flood are numbered from here on

}  // namespace

// Before the first change; the same, silent over all that happens, but not as long as slots take to settle; in the
// moment of the first change; and when new flows no longer go to the previous real.
const World::Habit World::kHabits[] = {
    {}, {.quiet_from_s = 1.75, .quiet_until_s = 9.25}, {.opens_at_s = 2}, {.opens_at_s = 8}};

Result<std::unique_ptr<World>> World::Make(const History& history, Tracking tracking, Wrapper& wrapper) {
  std::unique_ptr<World> world(new World(history, tracking, wrapper));
  for (uint32_t i = 0; i < history.balancers; ++i) {
    auto instance = Instance::Open({.capacities = {.max_vips = 64, .max_reals = 1024, .max_flows = kTableFlows}});
    if (!instance) return std::unexpected(instance.error());
    const auto subject = wrapper.AddSubject((*instance)->program_fd());
    if (!subject) return std::unexpected(subject.error());
    world->balancers_.push_back({std::move(*instance), *subject});
  }
  return world;
}

Status World::Begin(uint8_t life) {
  life_ = life;
  serving_ = balancers_.size();
  changes_made_ = 0;
  flooded_ = 0;
  answers_.assign(kFlows, 0);
  broken_.assign(kFlows, false);
  cohorts_.clear();
  uint32_t first = 0;
  for (const Habit& habit : kHabits) {
    Cohort& cohort = cohorts_.emplace_back(Cohort{.habit = habit});
    const uint32_t share = kCohortFlows / history_.balancers;
    for (uint32_t i = 0; i < history_.balancers; ++i) cohort.stretches.push_back({first + i * share, share, i});
    first += kCohortFlows;
  }
  desired_ = FreshState(life);
  desired_.defaults.tcp_settle_seconds = kSettleSeconds;
  desired_.defaults.udp_idle_seconds = kSettleSeconds;
  desired_.vips[vip()] = VipWithReals(kReals, tracking_);
  return ApplyDesired();
}

Status World::ApplyDesired() {
  for (Balancer& balancer : in_service()) {
    if (auto applied = balancer.instance->Apply(desired_); !applied) return applied;
  }
  return {};
}

void World::LoseBalancer() {
  --serving_;
  for (Cohort& cohort : cohorts_) {
    const auto left = std::ranges::find(cohort.stretches, serving_, &Stretch::balancer);
    const Stretch all = *left;
    cohort.stretches.erase(left);
    for (size_t i = 0; i < serving_; ++i) {
      const uint64_t begin = all.count * i / serving_;
      const uint64_t end = all.count * (i + 1) / serving_;
      cohort.stretches.push_back({all.first + begin, end - begin, i});
    }
  }
}

Status World::Apply(const Change& change) {
  if (change.balancer_leaves) LoseBalancer();
  if (!change.edit) return {};
  change.edit(desired_.vips.at(vip()));
  // Whatever a real had is lost with it, also if it comes back.
  const std::vector<bool> serves = ServingReals();
  for (uint16_t& at : answers_) at = serves[at] ? at : 0;
  return ApplyDesired();
}

Status World::Step(double now_s) {
  for (; changes_made_ < history_.changes.size() && history_.changes[changes_made_].at_s <= now_s; ++changes_made_) {
    if (auto applied = Apply(history_.changes[changes_made_]); !applied) return applied;
  }
  if (auto flooded = SendFlood(now_s); !flooded) return flooded;
  for (Cohort& cohort : cohorts_) {
    if (!cohort.habit.SpeaksAt(now_s)) continue;
    if (auto sent = SendAll(cohort, now_s); !sent) return sent;
  }
  for (Balancer& balancer : in_service()) {
    if (auto tended = balancer.instance->Tend(); !tended) return tended;
  }
  return {};
}

Status World::SendFlood(double now_s) {
  if (!history_.flood) return {};
  const auto wanted = static_cast<uint64_t>(static_cast<double>(kFlood) * std::min(1.0, now_s / kFloodEndS));
  if (wanted <= flooded_ + 1) return {};
  const Load load{.frame = MakeFrame(vip(), PacketKind::kSyn),
                  .flows = kStrangers,
                  .first_flow = kStrangers,
                  .subject = balancers_.front().subject};
  const auto sent = wrapper_.Send(load, static_cast<uint32_t>(wanted - flooded_));
  flooded_ = wanted;
  return sent;
}

Status World::SendAll(Cohort& cohort, double now_s) {
  // A flow opens with two SYNs, as if the first answer had been late.
  const bool opening = cohort.packets < 2 && now_s <= cohort.opened_at_s + kHandshakeS;
  const PacketKind kind = opening ? PacketKind::kSyn : PacketKind::kAck;
  if (cohort.packets++ == 0) cohort.opened_at_s = now_s;
  for (const Stretch& stretch : cohort.stretches) {
    const Load load{.frame = MakeFrame(vip(), kind),
                    .flows = stretch.count,
                    .sequential = true,
                    .first_flow = stretch.first,
                    .subject = balancers_[stretch.balancer].subject};
    const auto answers = wrapper_.SendNoting(load);
    if (!answers) return std::unexpected(answers.error());
    Compare(stretch.first, *answers);
  }
  return {};
}

std::vector<bool> World::ServingReals() const {
  std::vector<bool> serves(kMaxRealIndex + size_t{1});
  for (const auto& [address, real] : desired_.vips.at(vip()).reals) {
    serves[size_t{address.bytes()[14]} << 8 | address.bytes()[15]] = true;
  }
  return serves;
}

void World::Compare(uint64_t first, const std::vector<uint16_t>& answers) {
  const std::vector<bool> serves = ServingReals();
  for (size_t i = 0; i < answers.size(); ++i) {
    uint16_t& at = answers_[first + i];
    const bool left = at != answers[i] && serves[at];
    if (left || answers[i] == 0) broken_[first + i] = true;
    at = answers[i];
  }
}

uint64_t World::broken() const { return static_cast<uint64_t>(std::ranges::count(broken_, true)); }

uint64_t World::slots_moving() {
  uint64_t moving = 0;
  for (const Balancer& balancer : in_service()) {
    const Ring& ring = *balancer.instance->plan().vips.at(vip()).ring;
    moving += static_cast<uint64_t>(std::ranges::count_if(
        ring, [](const RingSlot& slot) { return slot.previous_real != 0 && slot.previous_real != slot.current_real; }));
  }
  return moving;
}

}  // namespace shunt::bench
